"""What operators are matched by. No Django here: `dialogs.rules` use it as well."""

Route = tuple[int | None, int]  # (department id or None for no department, language id)

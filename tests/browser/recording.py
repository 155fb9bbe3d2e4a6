"""Records the first part of the widget as this release serves it, for the tests of pages that are older than their server.

    python -m tests.browser.recording

Do so once, with the first release of a contract (docs/decisions/0026-the-widget-in-two-parts.md); later releases must work with it.
"""

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parent / "recorded"
AN_OLDER_WINDOW = "00000000"  # in the place of the version that the server has now


def record() -> Path:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
    import django

    django.setup()
    from dialogs.views.widget import CONTRACT, first_part

    text, replaced = re.subn(r'("window": "\d+-)\w+"', rf'\g<1>{AN_OLDER_WINDOW}"', first_part(account="demo"))
    assert replaced == 1
    file = FOLDER / f"widget-{CONTRACT}.js"
    file.write_text(text)
    return file


if __name__ == "__main__":
    print(record())

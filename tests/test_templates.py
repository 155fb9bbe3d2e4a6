"""How templates are written; `make lint` asks djlint for more."""

from tests.running import ROOT

LONGEST = 160


def test_no_line_of_a_template_is_too_long():
    templates = [path for path in (ROOT / "templates").rglob("*") if path.is_file()]
    assert templates
    lines = [(path, number, line) for path in templates for number, line in enumerate(path.read_text().splitlines(), 1)]
    assert not [f"{path}:{number}" for path, number, line in lines if len(line) > LONGEST]

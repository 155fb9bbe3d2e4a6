"""What comments and documents refer to exists: decisions by their number, modules and functions by their dotted name."""

import importlib
import re

import pytest
from django.apps import apps

from tests.running import ROOT

FOLDERS = ("operators", "dialogs", "notifications", "webim_offline", "tests", "docs")
FILES = sorted(
    str(path.relative_to(ROOT))
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".md"} and "/migrations/" not in str(path) and "/benchmarks/" not in str(path)
)
DECISION = re.compile(r"\bdecisions?[ /](\d{4})\b")
DOTTED = re.compile(r"`((?:operators|dialogs|notifications|webim_offline|tests)(?:\.\w+)+)(?:\(\))?`")


@pytest.mark.parametrize("file", FILES)
def test_what_is_named_exists(file):
    text = (ROOT / file).read_text()
    decisions = {path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")}
    assert set(DECISION.findall(text)) <= decisions
    assert not [name for name in DOTTED.findall(text) if not exists(name)]


def exists(name: str) -> bool:
    """Whether a dotted name is a module's, something's in a module, a model's, or a unit's of systemd."""
    parts = name.split(".")
    if parts[-1] in {"target", "service"}:
        return True
    if len(parts) == 2 and parts[1].lower() in apps.all_models.get(parts[0], {}):
        return True
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return (ROOT / name.replace(".", "/")).with_suffix(f".{parts[-1]}").exists()
            found = getattr(found, part)
        return True
    return False

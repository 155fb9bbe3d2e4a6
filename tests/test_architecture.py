"""The house's rules that no reviewer should have to remember: who may import whom, and what must not be there (design.md)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# each room may import itself and the rooms after it; webim_offline's foundations stand below all of them
ROOMS = ("notifications", "dialogs", "operators")
FRAME = "webim_offline"
# modules of the frame that start processes: they alone know all rooms
ENTRANCES = {"webim_offline/asgi.py", "webim_offline/startup.py", "webim_offline/supervisor.py"}


def modules() -> list[str]:
    found = [path for room in (*ROOMS, FRAME) for path in (ROOT / room).rglob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def parsed(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(), module)


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, dotted name) of everything a tree imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the direction"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def forbidden(module: str) -> set[str]:
    """The rooms that this module must not import."""
    room = module.split("/")[0]
    if room == FRAME:
        return set() if module in ENTRANCES else set(ROOMS)
    return set(ROOMS[: ROOMS.index(room)])


@pytest.mark.parametrize("module", modules())
def test_a_room_imports_only_the_rooms_below_it(module):
    wrong = [f"{module}:{line} imports {name}" for line, name in imports(parsed(module)) if name.split(".")[0] in forbidden(module)]
    assert not wrong, wrong


@pytest.mark.parametrize("module", [module for module in modules() if "/migrations/" not in module])
def test_nothing_hides_an_import_or_a_signal(module):
    tree = parsed(module)
    hidden = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            hidden += [f"{module}:{line} imports {name} inside a function" for line, name in imports(node)]
        if isinstance(node, ast.Attribute) and node.attr in {"get_model", "import_module"}:
            hidden.append(f"{module}:{node.lineno} looks a module up by name ({node.attr})")
    for line, name in imports(tree):
        if name.startswith(("django.dispatch", "django.db.models.signals", "django.core.signals", "importlib")):
            hidden.append(f"{module}:{line} imports {name}")
    assert not hidden, hidden


def test_the_rules_know_no_framework():
    """`state` is pure: no Django, no database, no clock (design.md)."""
    allowed = {"collections", "dataclasses", "datetime", "enum", "typing"}
    assert {name.split(".")[0] for _, name in imports(parsed("dialogs/state.py"))} <= allowed


def test_there_are_three_apps_and_the_frame():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert packages == {*ROOMS, FRAME, "tests"}
    assert apps == set(ROOMS)


def test_a_module_is_named_for_what_it_gives():
    vague = {"utils.py", "helpers.py", "common.py", "core.py", "misc.py", "signals.py", "services.py"}
    assert not [module for module in modules() if Path(module).name in vague]


def test_urls_of_the_frame_are_the_only_place_that_joins_the_rooms():
    """The frame names rooms by string in urls.py and settings.py and nowhere else."""
    joining = {"webim_offline/urls.py", "webim_offline/settings.py", *ENTRANCES}
    for module in modules():
        if not module.startswith(f"{FRAME}/") or module in joining:
            continue
        named = [
            node.value
            for node in ast.walk(parsed(module))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(tuple(f"{r}." for r in ROOMS))
        ]
        assert not named, f"{module}: {named}"

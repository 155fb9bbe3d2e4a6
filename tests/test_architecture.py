"""The house's rules that no reviewer should have to remember: who may import whom, and what must not be there."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# each room may import itself and the rooms after it; the roof, which starts processes, knows all of them
FOUNDATION = "webim_offline.foundation"
ROOF = "webim_offline"
ROOMS = (ROOF, "notifications", "dialogs", "operators", FOUNDATION)
APPS = ("notifications", "dialogs", "operators")


def modules() -> list[str]:
    found = [path for room in (*APPS, ROOF) for path in (ROOT / room).rglob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def room_of(dotted: str) -> str | None:
    """The room that a dotted name belongs to; None: it is not of this house."""
    if dotted == FOUNDATION or dotted.startswith(f"{FOUNDATION}."):
        return FOUNDATION
    room = dotted.split(".")[0]
    return room if room in ROOMS else None


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


@pytest.mark.parametrize("module", modules())
def test_a_room_imports_only_the_rooms_below_it(module):
    own = ROOMS.index(room_of(module.removesuffix(".py").replace("/", ".")))
    wrong = [
        f"{module}:{line} imports {name}"
        for line, name in imports(parsed(module))
        if (room := room_of(name)) is not None and ROOMS.index(room) < own
    ]
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


PURE = ("operators/routes.py", "dialogs/rules/", "dialogs/events.py", "dialogs/event_classes.py")


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith(PURE)])
def test_the_rules_and_the_events_know_no_framework(module):
    """`dialogs.rules` and the classes of events are pure: no Django, no database, no clock."""
    allowed = {"collections", "dataclasses", "datetime", "enum", "heapq", "random", "types", "typing"}
    names = {name for _, name in imports(parsed(module))}
    own = ("operators.routes.", "dialogs.rules.", "dialogs.event_classes.")
    assert {name.split(".")[0] for name in names if not name.startswith(own)} <= allowed


def test_there_are_three_apps_and_the_roof():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert packages == {*APPS, ROOF, "tests"}
    assert apps == set(APPS)


def test_a_module_is_named_for_what_it_gives():
    vague = {"utils.py", "helpers.py", "common.py", "core.py", "misc.py", "signals.py", "services.py"}
    assert not [module for module in modules() if Path(module).name in vague]


MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60
# what is longer and being divided: this set is empty before the next release
STILL_LONGER: set[str] = set()


@pytest.mark.parametrize("module", [module for module in modules() if "/migrations/" not in module])
def test_modules_and_functions_stay_short(module):
    text = (ROOT / module).read_text()
    longer = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text, module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]
    if (lines := text.count("\n")) > MOST_LINES:
        longer.append(f"{module}: {lines} lines")
    if module in STILL_LONGER:
        assert longer, f"{module} is short now: take it out of STILL_LONGER"
        return
    assert not longer, longer


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith(f"{ROOF}/foundation/")])
def test_the_foundation_names_no_app_by_a_string_either(module):
    named = [
        node.value
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(tuple(f"{app}." for app in APPS))
    ]
    assert not named, named

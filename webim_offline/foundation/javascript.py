"""Joins the ES modules of a page into one script, without any JavaScript toolchain.

The scripts are written as ES modules, so that editors, ESLint and unit tests understand them. Browsers get one file for each
page. Joining puts the modules one after the other, each behind the ones it imports, into the scope of one function, and drops
the words `import` and `export`. Nothing becomes a global name, and no code is made at run time.

All modules of a script share one scope, therefore a few things that ES modules allow are refused here, with a message that
names the file: two modules that declare the same top-level name, modules that import each other in a circle, names that are
renamed when imported, default exports, and importing what is not exported. ESLint (eslint.config.mjs) sees to the rest: a name
that a module neither declares nor imports, or one that hides a name of the browser, is an error there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMPORT = re.compile(r"^import (?:\{(?P<names>[^}]*)\} from )?'(?P<path>\.[^']*)';[ \t]*\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async function\*?|function\*?|class|const|let) )", re.MULTILINE)
DECLARATION = re.compile(r"^(export )?(?:async function\*?|function\*?|class|const|let) ([\w$]+)", re.MULTILINE)
DESTRUCTURING = re.compile(r"^(export )?const [\[{]([\w$, ]+)[\]}] = ", re.MULTILINE)  # into plain names
NOT_JOINED = re.compile(r"^(?:(?:import|export|var)\b|let ?[\[{]|const ?[\[{](?![\w$, ]+[\]}] = )).*", re.MULTILINE)


class CannotJoinError(ValueError):
    """The modules use something that joining does not support; the message names the file."""


@dataclass(frozen=True)
class Module:
    """One source file: what it imports, what it declares, and its text without `import` and `export`."""

    path: Path
    imports: tuple[tuple[Path, tuple[str, ...]], ...]  # (module, imported names), in the order of the source
    declared: tuple[str, ...]  # at the top level
    exported: frozenset[str]
    text: str


@dataclass(frozen=True)
class Script:
    """A joined script. `text` is a JavaScript expression whose value is what the entry module exports, if it exports a name.

    The second part of a script is a function instead, whose one argument is an object with the names `taken` from the first part.
    Its value is the same.
    """

    text: str
    files: tuple[Path, ...]
    taken: tuple[str, ...] = ()


def read_module(path: Path) -> Module:
    """Parse one module. Raises CannotJoinError for a form that joining does not support, and for a file that is missing."""
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError as missing:
        raise CannotJoinError(f"{path}: there is no such module") from missing
    imports = tuple(
        ((path.parent / found["path"]).resolve(), tuple(name.strip() for name in (found["names"] or "").split(",") if name.strip()))
        for found in IMPORT.finditer(source)
    )
    text = EXPORT.sub("", IMPORT.sub("", source))
    if strange := NOT_JOINED.search(text):
        raise CannotJoinError(f"{path}: joining does not support {strange[0]!r} at the top level")
    declarations: list[tuple[str, str]] = DECLARATION.findall(source)
    for export, names in DESTRUCTURING.findall(source):
        declarations += [(export, name) for name in names.replace(",", " ").split()]
    exported = frozenset(name for is_exported, name in declarations if is_exported)
    return Module(path, imports, tuple(name for _, name in declarations), exported, text)


def join(entry: Path, *, behind: Path | None = None) -> Script:
    """One script of the entry module and all that it imports. Raises CannotJoinError.

    `behind` is the entry of a first part, which runs on the page already. Its modules are not joined once more, since they would
    know nothing of what the first ones know; what is imported from them is taken from the first part.
    """
    first = frozenset(join(behind).files) if behind else frozenset()
    modules = [module for module in _in_order(entry.resolve(), {}, []) if module.path not in first]
    owners: dict[str, Path] = {}
    for module in modules:
        for path, names in module.imports:
            owners |= dict.fromkeys(names, path) if path in first else {}
    taken = tuple(sorted(owners))
    for module in modules:
        for name in module.declared:
            if name in owners:
                raise CannotJoinError(f"{module.path}: {name!r} is declared in {owners[name]} too, and both share one scope")
            owners[name] = module.path
    exported = sorted(modules[-1].exported)
    if len(exported) > 1:
        raise CannotJoinError(f"{entry}: the entry of a script exports one name at most, not {', '.join(exported)}")
    value = f"return {exported[0]};\n" if exported else ""
    body = "\n".join(module.text for module in modules)
    files = tuple(module.path for module in modules)
    if behind:
        return Script(f"($first) => {{\n'use strict';\nconst {{ {', '.join(taken)} }} = $first;\n{body}{value}}}", files, taken)
    return Script(f"(() => {{\n'use strict';\n{body}{value}}})()", files)


def _in_order(path: Path, done: dict[Path, Module], above: list[Path]) -> Iterator[Module]:
    """The module at `path` behind all that it imports and that is not `done` yet; `above` are those that are importing it."""
    if path in above:
        circle = " -> ".join(str(one) for one in [*above[above.index(path) :], path])
        raise CannotJoinError(f"modules import each other in a circle: {circle}")
    module = read_module(path)
    for imported, names in module.imports:
        if imported not in done:
            yield from _in_order(imported, done, [*above, path])
        for name in names:
            if name not in done[imported].exported:
                raise CannotJoinError(f"{path}: {name!r} is not exported by {imported}")
    done[path] = module
    yield module

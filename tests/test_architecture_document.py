"""The documents for newcomers name modules, functions and tests that exist, and every rule has its place."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("CONTRIBUTING.md", "README.md", "docs/architecture.md", "docs/scripts.md", "docs/tests.md")
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(?:#[\w-]*)?\)")
PATH = re.compile(r"`((?:\.ci|docs|tests|templates|dialogs|operators|notifications|webim_offline)/[\w./-]+)`")
NAME = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`")
RULES = {"Z": 3, "A": 5, "S": 4, "P": 11, "Q": 13, "M": 10, "W": 5, "B": 3, "X": 6}  # how many of each letter are built


def text_of(document: str) -> str:
    return (ROOT / document).read_text()


@cache
def defined_in(path: Path) -> set[str]:
    """What a module defines: `name`, `Class`, `Class.member`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        names |= _names_of(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for member in node.body for name in _names_of(member)}
    return names


def _names_of(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()


def links() -> list[tuple[str, str, str]]:
    found = [(document, words, target) for document in DOCUMENTS for words, target in LINK.findall(text_of(document))]
    return [link for link in found if not link[2].startswith(("http://", "https://"))]


@pytest.mark.parametrize(("document", "words", "target"), links())
def test_every_link_leads_somewhere(document, words, target):
    path = ((ROOT / document).parent / target).resolve()
    assert path.exists(), target
    if path.suffix == ".py":
        for name in NAME.findall(words):
            assert name in defined_in(path), f"{target} defines no {name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_the_text_exists(document):
    missing = [path for path in PATH.findall(text_of(document)) if not (ROOT / path).exists()]
    assert missing == []


def test_every_rule_that_is_built_has_its_place():
    table = text_of("docs/architecture.md").partition("## Where is rule X?")[2].partition("\n## ")[0]
    told = set()
    for cell in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE):
        for letter, first, last in re.findall(r"\b([A-Z])(\d+)(?: to [A-Z](\d+))?", cell):
            told |= {f"{letter}{number}" for number in range(int(first), int(last or first) + 1)}
    assert {f"{letter}{number}" for letter, count in RULES.items() for number in range(1, count + 1)} - told == set()

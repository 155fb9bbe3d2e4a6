"""What is installed is what was chosen: every package, by version and hash; under licences we may use."""

import re
import sys
from importlib import metadata

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import audit, licences
from tests.locks import PRODUCT, TESTS
from tests.running import ROOT

LINE = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\\n(?P<hashes>(?:    --hash=sha256:\w{64}.*\n)+)", re.M
)


def locked(lock: str) -> dict[str, re.Match]:
    """The entries of a lock by name."""
    return {found["name"]: found for found in LINE.finditer((ROOT / lock).read_text())}


def applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**default_environment(), "extra": extra})


def wanted(source: str) -> list[Requirement]:
    """The lines of a file of requirements that people keep."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / source).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def closure(requirements: list[Requirement]) -> dict[str, list[Requirement]]:
    """All packages that these need here, as the installed ones say themselves; with everyone's wish about each."""
    wishes: dict[str, list[Requirement]] = {}
    todo = [requirement for requirement in requirements if applies(requirement)]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        wishes.setdefault(name, []).append(requirement)
        needs = [Requirement(line) for line in metadata.requires(name) or []]
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                todo += [need for need in needs if applies(need, extra)]
    return wishes


SOURCES = {PRODUCT: ["requirements.txt"], TESTS: ["requirements.txt", "tests/requirements.txt"]}


@pytest.mark.parametrize("lock", SOURCES)
def test_a_lock_names_what_the_requirements_need_and_nothing_else(lock):
    """.ci/run also asks for every other platform (`python -m tests.locks --check`), which takes a look at the index."""
    entries = locked(lock)
    wishes = closure([requirement for source in SOURCES[lock] for requirement in wanted(source)])
    here = {
        name
        for name, entry in entries.items()
        if applies(Requirement(f"{name}{'; ' + entry['marker'] if entry['marker'] else ''}"))
    }
    assert here == set(wishes)
    for name, several in wishes.items():
        version = entries[name]["version"]
        assert metadata.version(name) == version, "installed is what is locked"
        for wish in several:
            assert wish.specifier.contains(version, prereleases=True), f"{name}=={version}, but {wish} is wanted"


@pytest.mark.parametrize("lock", SOURCES)
def test_every_entry_has_hashes_and_no_place_it_comes_from(lock):
    text = (ROOT / lock).read_text()
    assert len(locked(lock)) == len(re.findall(r"==", re.sub(r";.*", "", text)))
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_the_tests_run_on_the_product_s_own_versions():
    tests = locked(TESTS)
    for name, entry in locked(PRODUCT).items():
        assert [tests[name][part] for part in ("version", "marker")] == [entry[part] for part in ("version", "marker")]
        assert re.findall(r"sha256:\w+", tests[name]["hashes"]) == re.findall(r"sha256:\w+", entry["hashes"])


def test_every_line_that_people_keep_is_pinned_and_the_product_s_have_a_reason():
    for source in ("requirements.txt", "tests/requirements.txt"):
        for requirement in wanted(source):
            assert [one.operator for one in requirement.specifier] == ["=="], requirement
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        assert re.search(r"# .{10,}", line), line


def test_everything_is_installed_by_its_hash():
    """Wherever this repository installs packages or says how."""
    for name in ("Makefile", "docs/deploy.md", ".ci/run", "README.md"):
        for line in re.findall(r".*\bpip install\b.*", (ROOT / name).read_text()):
            assert re.search(r"--require-hashes\b.* -r \S+\.lock\b", line), f"{name}: {line}"


class TestLicences:
    def test_the_document_is_current(self):
        assert licences.DOCUMENT.read_text() == licences.document(), "run make lock"

    @pytest.mark.parametrize("name", licences.locked())
    def test_a_licence_lets_us_use_it(self, name):
        assert licences.is_welcome(licences.licence(name)), licences.licence(name)

    @pytest.mark.parametrize("words", ["GPL-3.0-only", "AGPL-3.0", "MIT AND GPL-2.0", "Proprietary", "", "OTHER"])
    def test_others_do_not(self, words):
        assert not licences.is_welcome(words)

    def test_one_of_two_is_enough(self):
        assert licences.is_welcome("GPL-2.0 OR MIT")
        assert licences.is_welcome("(MIT AND BSD-3-Clause)")


class TestAudit:
    """What is made of pip-audit's answer; the real one needs a network."""

    def answer(self, text: str, status: int = 0, wait: float = 0.0) -> tuple[bool, list[str]]:
        code = f"import sys, time; time.sleep({wait}); print({text!r}); sys.exit({status})"
        return audit.audit([sys.executable, "-c", code], seconds=20 if not wait else 1)

    def test_holes_fail(self):
        fine, lines = self.answer(
            '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]},'
            ' {"name": "b", "version": "3", "vulns": []}, {"name": "c", "skip_reason": "not found"}]}',
            status=1,
        )
        assert not fine
        assert lines == [
            "a 1: CVE-1, mended in 2",
            "pip-audit: 2 packages looked up, 1 known holes.",
            "pip-audit: NOT LOOKED UP: c.",
        ]

    def test_none_pass(self):
        assert self.answer('{"dependencies": [{"name": "b", "version": "3", "vulns": []}]}') == (
            True,
            ["pip-audit: 1 packages looked up, 0 known holes."],
        )

    @pytest.mark.parametrize(
        ("text", "wait"),
        [('{"dependencies": [{"name": "a", "skip_reason": "not found"}]}', 0), ("", 0), ("no answer", 0), ("late", 60)],
    )
    def test_what_was_not_looked_up_is_said(self, text, wait):
        fine, lines = self.answer(text, wait=wait)
        assert fine
        assert len(lines) == 1
        assert "NOT LOOKED UP" in lines[0]

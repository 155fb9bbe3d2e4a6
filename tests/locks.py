"""The locks: every package that is installed, its version and the hashes of its files, for every platform and Python.

python -m tests.locks              make them, keeping every version that still fits (`make lock`)
python -m tests.locks --upgrade    make them with the newest versions that our own pins allow (`make lock UPGRADE=1`)
python -m tests.locks --check      are they what would be made? Changes nothing; .ci/run asks

requirements.txt and tests/requirements.txt are kept by people, with a reason a line; the locks follow from them.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.running import ROOT

PRODUCT, TESTS = "requirements.lock", "tests/requirements.lock"
SOURCES = {PRODUCT: ("requirements.txt",), TESTS: ("tests/requirements.txt", "--constraints", PRODUCT)}
OPTIONS = (
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"),
    # where packages come from is the machine's own setting
    *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"),
)


def make(folder: Path, *options: str) -> None:
    """Make both locks in a folder that holds the sources; those that are there say which versions to keep."""
    for lock, source in SOURCES.items():
        command = [Path(sys.executable).parent / "uv", "pip", "compile", *source, *OPTIONS, *options, "--output-file", lock]
        subprocess.run(command, cwd=folder, check=True)


def outdated() -> list[str]:
    """The locks that would become others."""
    with tempfile.TemporaryDirectory(prefix="webim-offline-locks-") as name:
        folder = Path(name)
        (folder / "tests").mkdir()
        for file in ("requirements.txt", "tests/requirements.txt", PRODUCT, TESTS):
            shutil.copy(ROOT / file, folder / file)
        make(folder)
        return [lock for lock in SOURCES if (folder / lock).read_text() != (ROOT / lock).read_text()]


def main(*words: str) -> int:
    if words == ("--check",):
        wrong = outdated()
        print("\n".join(f"{lock} is not what the requirements say: run make lock." for lock in wrong) or "The locks are current.")
        return len(wrong)
    make(ROOT, *words)
    print("Made. docs/licences.md follows when they are installed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

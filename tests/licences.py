"""docs/licences.md: under which licence everything comes that the product runs on. `make lock` writes it."""

import re
import sys
from importlib import metadata

from tests.locks import PRODUCT
from tests.running import ROOT

DOCUMENT = ROOT / "docs" / "licences.md"
HEAD = """\
# Licences

Everything that `make run` installs (requirements.lock), written by `make lock`. All of it is permissive, or LGPL and used as
it comes: a library of its own in `.venv`, which whoever has the program may replace. A package under another licence fails
the tests.

| Package | Version | Licence |
| --- | --- | --- |
"""
# as their authors wrote them -> one word for each
SAME = {
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "LGPLv3": "LGPL-3.0",
    "MIT License": "MIT",
    "New BSD": "BSD-3-Clause",
}
WELCOME = frozenset(
    {"Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0", "LGPL-3.0-only", "MIT", "MIT-0", "PSF-2.0"}
)
ELSEWHERE = {"async-timeout": "Apache-2.0"}  # installed on other Pythons only; looked up by hand
VAGUE = {"", "Dual License", "OSI Approved"}


def locked() -> dict[str, str]:
    """Versions by name, from the product's lock."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / PRODUCT).read_text(), re.MULTILINE))


def licence(name: str) -> str:
    """A package's licence in its own words, SPDX where it has them. Raises PackageNotFoundError."""
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    said = metadata.metadata(name)
    words = said.get("License-Expression") or said.get("License") or ""
    if words in VAGUE or "\n" in words:
        classifiers = [line.split(" :: ")[-1] for line in said.get_all("Classifier") or [] if line.startswith("License ::")]
        words = " OR ".join(SAME.get(one, one) for one in classifiers)
    return SAME.get(words, words)


def is_welcome(words: str) -> bool:
    """One of several alternatives is enough; of what is joined by AND every part must be."""
    return any(all(part.strip(" ()") in WELCOME for part in way.split(" AND ")) for way in words.split(" OR "))


def document() -> str:
    """The whole file."""
    return HEAD + "".join(f"| {name} | {version} | {licence(name)} |\n" for name, version in locked().items())


if __name__ == "__main__":
    DOCUMENT.write_text(document())
    unwelcome = [name for name in locked() if not is_welcome(licence(name))]
    sys.exit(f"Not permissive: {', '.join(unwelcome)}" if unwelcome else 0)

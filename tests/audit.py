"""Known holes in what the product runs on (pip-audit over requirements.lock). Part of `make lint`.

It fails for a hole that has a number. Where nothing can be looked up it says so in a line and fails nothing; pip-audit itself
then reports «No known vulnerabilities found» about packages that it asked nobody about.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.locks import PRODUCT
from tests.running import ROOT

SECONDS = 20  # for everything: a machine without a network must not wait
COMMAND = (
    *(str(Path(sys.executable).parent / "pip-audit"), "--requirement", str(ROOT / PRODUCT), "--require-hashes", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "5"),
)


def audit(command: Sequence[str] = COMMAND, seconds: float = SECONDS) -> tuple[bool, list[str]]:
    """(nothing known to be wrong, the lines to print)"""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        packages = json.loads(ran.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return True, [f"pip-audit: NOT LOOKED UP, no answer in {seconds} s: nothing is known about {PRODUCT}."]
    asked = [package for package in packages if "vulns" in package]
    unasked = [package["name"] for package in packages if "vulns" not in package]
    if not asked:
        return True, [f"pip-audit: NOT LOOKED UP, its service knows none of these packages from here: {PRODUCT} was not audited."]
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for package in asked
        for hole in package["vulns"]
    ]
    lines = [*holes, f"pip-audit: {len(asked)} packages looked up, {len(holes)} known holes."]
    if unasked:
        lines.append(f"pip-audit: NOT LOOKED UP: {', '.join(unasked)}.")
    return not holes, lines


if __name__ == "__main__":
    well, said = audit()
    print("\n".join(said))
    sys.exit(not well)

"""Making scripts and styles shorter, by removing comments and blanks and by shortening names that are not visible outside.

`shortened` runs the library (tdewolff-minify) in a process of its own, because it brings the Go runtime along. That would
cost each web process 10 MiB and five threads for good, for a few milliseconds of work after its start.
"""

import subprocess
import sys
from enum import StrEnum

TIMEOUT = 20.0  # seconds; it takes 0.2


class Kind(StrEnum):
    """What a text is, as the library names it."""

    SCRIPT = "application/javascript"
    STYLES = "text/css"


class CannotShortenError(Exception):
    """The program did not start, or the library did not understand the text."""


def shortened(text: str, kind: Kind) -> str:
    """The same script or styles, shorter. Raises CannotShortenError."""
    command = [sys.executable, "-I", "-c", PROGRAM, kind.value]
    try:
        done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", timeout=TIMEOUT, check=True)  # noqa: S603
    except subprocess.CalledProcessError as failed:
        raise CannotShortenError(failed.stderr.strip()) from failed
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotShortenError(str(error)) from error
    return done.stdout


# syntax of 2018 only (ui.md: what the oldest browsers understand)
PROGRAM = """
import sys
import minify
sys.stdin.reconfigure(encoding="utf-8")
sys.stdout.reconfigure(encoding="utf-8")
minify.config({"js-version": 2018})
sys.stdout.write(minify.string(sys.argv[1], sys.stdin.read()))
"""

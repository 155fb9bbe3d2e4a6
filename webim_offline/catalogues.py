"""Message catalogues: `django.po` is the source, `django.mo` is made from it here, with Babel and never by hand."""

import os
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALE_DIR = Path(__file__).resolve().parent / "locale"


def compile_changed(folder: Path = LOCALE_DIR) -> list[Path]:
    """Compile every catalogue that is newer than its compiled form; returns what was written."""
    written = []
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns > source.stat().st_mtime_ns:
            continue
        with source.open("rb") as file:
            catalogue = read_po(file, locale=source.parent.parent.name)
        draft = target.with_suffix(f".{os.getpid()}")  # several processes may start at once
        with draft.open("wb") as file:
            write_mo(file, catalogue)
        draft.chmod(0o644)  # as public as the source: root compiles for the service's user, whatever the umask
        draft.replace(target)
        written.append(target)
    return written


if __name__ == "__main__":
    compile_changed()

"""Static files, compressed once: when they are collected (`manage.py collectstatic`, and each start of `make run`).

WhiteNoise serves what was collected, with its compressed forms. A file that was not collected, or that has changed since, is served
from where the application has it, as it is: a developer sees what is on the disk, and a test needs no preparation.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
from django.contrib.staticfiles.storage import StaticFilesStorage
from whitenoise.compress import Compressor
from whitenoise.middleware import WhiteNoiseMiddleware

ENDINGS = (".br", ".gz")
SAME_TIME = 0.001  # seconds: a time that is copied loses its last digits
QUALITY = 9  # of brotli; the best, 11, takes four times as long for a tenth less


class QuickCompressor(Compressor):
    """Compresses all files in a second, so that the first start does not wait for it."""

    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        compressed: bytes = brotli.compress(data, quality=QUALITY)
        return compressed


class CompressedStorage(StaticFilesStorage):
    """Writes brotli and gzip beside each collected file that gets smaller by them, unless they are there already."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **_: Any) -> Iterator[tuple[str, str, bool]]:
        """Compress what was collected; called by collectstatic, with unchanged files too."""
        compressor = QuickCompressor(quiet=True)
        for name in () if dry_run else paths:
            file = Path(self.path(name))
            if not compressor.should_compress(name) or _is_done(file):
                continue
            written = compressor.compress(str(file))
            for path in written:
                Path(path).chmod(0o644)  # as public as the file itself, whatever the umask
                yield name, path, True
            for ending in ENDINGS:
                if f"{file}{ending}" not in written:  # of what the file was before
                    Path(f"{file}{ending}").unlink(missing_ok=True)


def _is_done(file: Path) -> bool:
    """Whether the compressed forms are those of this file: they bear its time."""
    compressed = [Path(f"{file}{ending}") for ending in ENDINGS]
    times = [path.stat().st_mtime for path in compressed if path.exists()]
    return bool(times) and all(abs(time - file.stat().st_mtime) < SAME_TIME for time in times)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise, which reads STATIC_ROOT first and then looks for what it lacks."""

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        """Keep what was collected, unless the file at `path` is another one by now."""
        collected = Path(self.static_root) / url.removeprefix(self.static_prefix)
        if url in self.files and self._is_collected(Path(path), collected):
            return
        super().add_file_to_dictionary(url, path, stat_cache=stat_cache)

    @staticmethod
    def _is_collected(file: Path, collected: Path) -> bool:
        source, copy = file.stat(), collected.stat()
        return source.st_size == copy.st_size and source.st_mtime <= copy.st_mtime

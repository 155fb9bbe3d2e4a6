"""A clock that tests can step under running processes: Debian's libfaketime. Lengths of time are not touched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.services import Missing

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


class Clock:
    """The wall clock of the processes that are started with `environment`; set by a file in `folder`."""

    def __init__(self, folder: Path) -> None:
        library = next((path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))), None)
        if library is None:
            raise Missing("libfaketime")
        self.file = folder / "clock"
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # or every wait of a thread for another ends at once, again and again
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(Path(__file__).parent / "clock"),
        }
        self.ahead = timedelta()
        self.step(timedelta())

    def step(self, by: timedelta) -> None:
        """Set the clock forwards, or backwards."""
        self.ahead += by
        draft = self.file.with_suffix(".draft")
        draft.write_text(f"{self.ahead.total_seconds():+.0f}\n")
        draft.chmod(0o644)  # PostgreSQL reads it as another user
        draft.rename(self.file)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

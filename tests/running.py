"""The whole service, started the way `make run` starts it, for tests that need real processes."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent


PLACES = {"uvicorn": "web", "--queues=clock": "clock", "--queues=mail": "mail", " beat": "beat"}  # by a word of the command


def eventually(look: Callable[[], object], within: float = 15.0, every: float = 0.1) -> object:
    """The first true value of `look`; AssertionError after `within` seconds."""
    until = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < until, f"not within {within} s"
        time.sleep(every)
    return found


def place_of(process: psutil.Process) -> str:
    """Which of the service's processes this is: web, clock, mail or beat; "" if it is none of them, or has ended."""
    with contextlib.suppress(psutil.Error):  # it may end while it is looked at
        words = " ".join(process.cmdline())
        return next((name for mark, name in PLACES.items() if mark in words), "")
    return ""


class Service:
    """One supervisor with a folder, a port and an environment of its own."""

    command = ("-m", "webim_offline.supervisor")

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # a test run's own variables, DATABASE_URL above all, are not the service's
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
        self.environment = inherited | {"VAR_DIR": str(folder), "PORT": str(self.port)} | environment
        self.log = folder / "service.log"
        self.supervisor: psutil.Popen | None = None
        self.known: dict[int, psutil.Process] = {}

    def start(self, within: float = 60.0) -> "Service":
        """Start and wait until /healthz says that all is well."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            command = [sys.executable, *self.command]
            self.supervisor = psutil.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            eventually(self.is_healthy, within)
        except AssertionError:
            self.stop()
            raise AssertionError(f"not healthy within {within} s:\n{self.said()[-4000:]}") from None
        return self

    def is_healthy(self) -> bool:
        assert self.supervisor is not None
        assert self.supervisor.poll() is None, f"the supervisor ended:\n{self.said()[-4000:]}"
        try:
            return httpx.get(f"{self.url}/healthz", timeout=3).status_code == 200
        except httpx.TransportError:
            return False

    def said(self) -> str:
        """Everything its processes wrote."""
        return self.log.read_text() if self.log.exists() else ""

    def children(self) -> dict[str, psutil.Process]:
        """The running processes by their place: web, clock, mail, beat."""
        assert self.supervisor is not None
        found = {}
        for process in self.supervisor.children(recursive=True):
            self.known[process.pid] = process
            if name := place_of(process):
                found[name] = process
        return found

    def survivors(self) -> list[psutil.Process]:
        """Processes of this service that still run though they should not."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process in self.known.values() or process.environ().get("VAR_DIR") == str(self.folder)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """End it; returns the supervisor's exit status."""
        assert self.supervisor is not None
        self.supervisor.send_signal(with_signal)
        try:
            return self.supervisor.wait(20)
        except psutil.TimeoutExpired:
            for process in [self.supervisor, *self.supervisor.children(recursive=True)]:
                process.kill()
            raise

    def manage(self, *arguments: str) -> str:
        """Run manage.py in this service's environment; returns what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True).stdout


def temporary_folder() -> tempfile.TemporaryDirectory:
    """A VAR_DIR that goes away; a test process's folder may still be written to while it is removed."""
    return tempfile.TemporaryDirectory(prefix="webim-offline-service-", ignore_cleanup_errors=True)

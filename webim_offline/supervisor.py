"""`make run`: prepares the service, then keeps its processes running until SIGINT or SIGTERM, and leaves nothing behind.

Every child leads a session of its own, so that whatever it started ends with it; on Linux the kernel ends the children
when the supervisor itself is killed.
"""

import contextlib
import ctypes
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from django.conf import settings

from webim_offline import startup

STEADY = 20.0  # seconds a child must have lived to be started again at once
LONGEST_PAUSE = 10.0
GRACE = 8.0  # seconds to end in an orderly way
CELERY = (sys.executable, "-W", "ignore:You're running the worker", "-m", "celery", "-q", "-A", "webim_offline")
WORKER = ("worker", "--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
KERNEL = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
# of any server of the live app. X-Forwarded-For is ours to judge (TRUSTED_PROXIES); whoever sends the head of a request or
# reads an answer too slowly is cut off; the WebSocket implementation that costs least a stream, and frames no larger than
# streams.LARGEST_FRAME
LIVE_OPTIONS = (
    "--http=webim_offline.http_protocol:PatientProtocol",
    *("--lifespan=on", "--no-proxy-headers", "--no-server-header", "--no-access-log", "--log-level=warning", "--workers=1"),
    *("--ws=websockets-sansio", "--ws-per-message-deflate=false", "--ws-max-size=8192", "--ws-max-queue=8"),
    "--timeout-graceful-shutdown=2",  # held polls and streams would keep a longer shutdown waiting
)


def commands() -> dict[str, Sequence[str]]:
    """The processes by name. Django, the live app and all pages share one (embedded) server; each queue has its worker."""
    server = ("uvicorn", "webim_offline.asgi:application", "--host", settings.HOST, "--port", str(settings.PORT))
    return {
        "web": (sys.executable, "-m", *server, *LIVE_OPTIONS),
        "clock worker": (*CELERY, *WORKER, "--queues=clock", "--hostname=clock@%h"),
        "mail worker": (*CELERY, *WORKER, "--queues=mail", "--hostname=mail@%h"),
        "beat": (*CELERY, "beat", "--loglevel=WARNING"),
    }


class Child:
    """One process that is to run; started again when it dies, after a growing pause when it dies young."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name, self.command = name, command
        self.pause = 0.0
        self.start()

    def start(self) -> None:
        """Start the process as the leader of a session that dies with this supervisor."""
        parent = os.getpid()

        def die_with_parent() -> None:
            if KERNEL is not None and (KERNEL.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) or os.getppid() != parent):
                os._exit(1)

        self.process = subprocess.Popen(  # noqa: S603
            self.command, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent
        )
        self.started_at, self.restart_at = time.monotonic(), None

    def signal(self, number: int) -> None:
        """Signal the process and everything in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def look(self) -> None:
        """Note a death; start again when it is time."""
        if self.process.poll() is None:
            return
        now = time.monotonic()
        if self.restart_at is None:
            self.signal(signal.SIGKILL)  # what it may have started
            self.pause = 0.0 if now - self.started_at >= STEADY else min(LONGEST_PAUSE, self.pause * 2 or 0.5)
            self.restart_at = now + self.pause
            print(f"{self.name} ended ({self.process.returncode}), starting it again in {self.pause:g} s", flush=True)
        if now >= self.restart_at:
            self.start()


def run() -> None:
    """Everything from preparing to the last child's end."""
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: stop.append(received))
    claim = startup.claim()
    greeting = startup.prepare()
    children: list[Child] = []
    told, next_look = False, 0.0
    try:
        for name, command in commands().items():
            children.append(Child(name, command))
        while not stop:
            for child in children:
                child.look()
            if not told and time.monotonic() >= next_look:
                told, next_look = _healthy(), time.monotonic() + 0.5
                if told:
                    print(greeting, flush=True)
            time.sleep(0.1)
    finally:
        _end(children)
        claim.close()


def _end(children: list[Child]) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    until = time.monotonic() + GRACE
    for child in children:
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            print(f"{child.name} does not end by itself, killing it", flush=True)
        child.signal(signal.SIGKILL)
        child.process.wait()


def _healthy() -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104
    server = http.client.HTTPConnection(host, settings.PORT, timeout=2)
    try:
        server.request("GET", "/healthz", headers={"Host": settings.PUBLIC_HOST})
        return server.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        server.close()


if __name__ == "__main__":
    run()

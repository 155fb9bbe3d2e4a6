"""`make run`: prepares the service, then keeps its processes running until SIGINT or SIGTERM, and leaves nothing behind.

How processes are started, kept and ended is the business of `children`.
"""

import http.client
import time
from collections.abc import Sequence

from django.conf import settings

from webim_offline import startup
from webim_offline.children import CAN_FORK, Child, ModuleChild, Wake, asked_of_a_fork, end, freeze, keep
from webim_offline.commands import CELERY, LIVE_OPTIONS, TITLES, WORKER, WORKERS

if CAN_FORK:
    from webim_offline import loaded, loaded_pages  # noqa: F401 - the children share it

__all__ = ["CELERY", "LIVE_OPTIONS", "WORKER", "Child"]  # where they were before `commands` and `children`

GRACE = 8.0  # seconds to end in an orderly way


def commands() -> dict[str, Sequence[str]]:
    """The processes by name, as modules of Python with their arguments.

    Django, the live app and all pages share one (embedded) server; each queue has its worker.
    """
    server = ("uvicorn", "webim_offline.asgi:application", "--host", settings.HOST, "--port", str(settings.PORT))
    return {"web": (*server, *LIVE_OPTIONS), **WORKERS}


def run() -> None:
    """Everything from preparing to the last child's end."""
    wake = Wake()
    claim = startup.claim()
    wake.closed_in_children.append(claim)
    greeting = _Greeting(asked_of_a_fork(startup.prepare) if CAN_FORK else startup.prepare())
    children: list[Child] = []
    try:
        if CAN_FORK:
            freeze()
        for name, command in commands().items():
            children.append(ModuleChild(name, command, TITLES[name]))
        keep(children, wake, until_next=greeting.say_when_healthy)
    finally:
        end(children, GRACE)
        claim.close()


class _Greeting:
    """What is said once, as soon as all is well."""

    EVERY = 0.5  # seconds from one look to the next

    def __init__(self, text: str) -> None:
        self.text = text
        self._is_said, self._next_look = False, 0.0

    def say_when_healthy(self) -> float | None:
        """Returns in how many seconds to look again; None: it is said."""
        if not self._is_said and time.monotonic() >= self._next_look:
            self._is_said, self._next_look = _healthy(), time.monotonic() + self.EVERY
            if self._is_said:
                print(self.text, flush=True)
        return None if self._is_said else max(0.0, self._next_look - time.monotonic())


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

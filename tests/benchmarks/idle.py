"""What a service costs that nobody uses: the processor time and the memory of all its processes.

Two services are measured. One is what `make run` starts, in a folder and on a port of its own. The other is the smallest set for
production: one web process, one live process, the workers and beat, by the commands of docs/examples, on PostgreSQL and Redis
(whose own cost is not counted). Each gets SETTLED seconds of peace before it is measured, so that what only a start needs is over.

Processor time is what the processes themselves were given (utime and stime), which other work on the machine hardly disturbs. It
still depends on the core, so each note says how long a fixed loop of Python takes on it. Memory is the proportional set size:
pages that several processes share are counted once in all.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import httpx
import psutil

from tests.deployment import Units
from tests.running import Service, eventually, place_of

SETTLED = 20.0  # seconds before the measurement
SECONDS = 30.0  # of the measurement
MOST_CPU = 2.0  # per cent of one core
MOST_EMBEDDED, MOST_PRODUCTION = 220.0, 300.0  # MiB


@dataclass(frozen=True)
class Idle:
    """What each process cost while nobody used the service."""

    cpu: dict[str, float]  # per cent of one core
    mib: dict[str, float]  # proportional set size


def loop_seconds() -> float:
    """How long the core takes for ten million rounds of a loop; the best of three."""

    def once() -> float:
        began, total = time.process_time(), 0
        for number in range(10_000_000):
            total += number * number
        return time.process_time() - began

    return min(once() for _ in range(3))


def watch(processes: Callable[[], dict[str, psutil.Process]]) -> Idle:
    """Measure the processes by name. They must be the same ones at the end: none may have been started again."""
    time.sleep(SETTLED)
    named = processes()
    before, began = {name: used(process) for name, process in named.items()}, time.monotonic()
    time.sleep(SECONDS)
    took = time.monotonic() - began
    cpu = {name: 100 * (used(process) - before[name]) / took for name, process in named.items()}
    assert processes() == named, "a process was started again, or ended"
    return Idle(cpu, {name: process.memory_full_info().pss / 2**20 for name, process in named.items()})


def used(process: psutil.Process) -> float:
    """Seconds of processor time that a process has been given."""
    times = process.cpu_times()
    return float(times.user + times.system)


def tree(name: str, root: psutil.Process) -> dict[str, psutil.Process]:
    """A process and all that it has started, each by a name of its own."""
    found = {name: root}
    for number, child in enumerate(root.children(recursive=True), start=1):
        found[place_of(child) or f"{name}, child {number}"] = child
    return found


@lru_cache(maxsize=1)
def embedded() -> Idle:
    """As `make run` starts it."""
    with tempfile.TemporaryDirectory(prefix="webim-offline-bench-", ignore_cleanup_errors=True) as folder:
        service = Service(Path(folder)).start(within=120)
        try:
            eventually(lambda: "healthy" in service.said(), within=30)
            assert service.supervisor is not None
            supervisor = psutil.Process(service.supervisor.pid)
            return watch(lambda: tree("supervisor", supervisor))
        finally:
            service.stop()


@lru_cache(maxsize=1)
def production() -> Idle:
    """The smallest set of docs/deploy.md."""
    with _smallest_set() as units:

        def processes() -> dict[str, psutil.Process]:
            found: dict[str, psutil.Process] = {}
            for unit, process in units.processes.items():
                found |= tree(unit, psutil.Process(process.pid))
            return found

        return watch(processes)


@contextlib.contextmanager
def _smallest_set() -> Iterator[Units]:
    own = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")}
    with tempfile.TemporaryDirectory(prefix="webim-offline-bench-", ignore_cleanup_errors=True) as folder:
        units = Units(Path(folder), own | {"ALLOWED_HOSTS": "127.0.0.1", "PUBLIC_URL": "https://localhost"})
        try:
            units.start(*units.smallest_set())
            health = f"{units.direct('web@8101')}/healthz"
            eventually(lambda: httpx.get(health, timeout=5, trust_env=False).status_code == httpx.codes.OK, within=60)
            yield units
        finally:
            for unit in list(units.processes):
                units.kill(unit)


def _note(figures: dict[str, float], digits: int, where: str) -> str:
    each = ", ".join(f"{name} {figure:.{digits}f}" for name, figure in figures.items())
    return f"{each}; {where}; the core takes {loop_seconds():.2f} s for ten million rounds of a loop"


EMBEDDED = "SQLite, as `make run` starts it"
PRODUCTION = "the smallest set for production, without PostgreSQL and Redis themselves"


def measure_cpu() -> tuple[float, str, str, float]:
    found = embedded().cpu
    return sum(found.values()), "%", _note(found, 2, EMBEDDED), MOST_CPU


def measure_memory() -> tuple[float, str, str, float]:
    found = embedded().mib
    return sum(found.values()), "MiB", _note(found, 0, EMBEDDED), MOST_EMBEDDED


def measure_production_cpu() -> tuple[float, str, str, float]:
    found = production().cpu
    return sum(found.values()), "%", _note(found, 2, PRODUCTION), MOST_CPU


def measure_production_memory() -> tuple[float, str, str, float]:
    found = production().mib
    return sum(found.values()), "MiB", _note(found, 0, PRODUCTION), MOST_PRODUCTION

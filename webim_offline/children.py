"""Processes that are kept running: started again when they die, and ended with whoever keeps them.

Every child leads a session of its own, so that whatever it started ends with it. On Linux the kernel ends the children when their
keeper itself is killed, and a child is forked from its keeper, which has loaded the code (decision 0027): all of them share that
memory, and none has to load it again. So a keeper stays as a fork has to begin: it has one thread, and no connection to anything.
Elsewhere a child is a new process of Python.
"""

import contextlib
import ctypes
import gc
import multiprocessing
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import IO, Protocol

from django.conf import settings

STEADY = 20.0  # seconds a child must have lived to be started again at once
LONGEST_PAUSE = 10.0
KERNEL = ctypes.CDLL(None) if sys.platform == "linux" else None
CAN_FORK = KERNEL is not None  # libraries of macOS do not survive a fork
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Celery's, about workers that root runs; `make run` in a container is one
NO_NEWS = "You're running the worker"


class Process(Protocol):
    """What a child's process is asked: a part of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


class Forked:
    """A process forked from this one, which runs a module of Python as `python -m` would; `ps` shows `title`."""

    def __init__(self, words: Sequence[str], title: Sequence[str]) -> None:
        self.args = tuple(words)
        target = partial(_run_module, self.args, tuple(title), os.getpid())
        self._process = multiprocessing.get_context("fork").Process(target=target)
        with _no_signals():  # the child must not meet one before it has forgotten our handlers
            self._process.start()

    @property
    def pid(self) -> int:
        return int(self._process.pid or -1)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired after so many seconds.

        It is asked again and again: what would tell (`Process.sentinel`) may also be held open by what the child has started.
        """
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self._process.exitcode) is None:
            if time.monotonic() >= until:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            time.sleep(0.02)
        return code

    def kill(self) -> None:
        self._process.kill()


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    """Signals wait until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def asked_of_a_fork(question: Callable[[], str]) -> str:
    """Return the answer of a fork that ends after it, so that nothing which it loads or opens stays in this process.

    Raises SystemExit with the fork's status when it ends without an answer; it has said why.
    """
    context, parent = multiprocessing.get_context("fork"), os.getpid()
    receiver, sender = context.Pipe(duplex=False)

    def answer() -> None:
        end_with(parent)
        sender.send(question())

    fork = context.Process(target=answer)
    fork.start()
    sender.close()
    try:
        return str(receiver.recv())
    except EOFError:
        fork.join()
        raise SystemExit(fork.exitcode or 1) from None
    finally:
        fork.join()
        receiver.close()


def _run_module(words: Sequence[str], title: Sequence[str], parent: int) -> None:
    """In the child: become a process as `python -m` makes one, and run the module `words[0]`."""
    end_with(parent)
    os.setsid()
    Wake.forget()
    for number in STOPS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    set_title(title)
    gc.enable()
    sys.argv = list(words)
    warnings.filterwarnings("ignore", NO_NEWS)
    os.chdir(settings.BASE_DIR)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def end_with(parent: int) -> None:
    """Have the kernel end this process when `parent`, which has started it, ends."""
    if KERNEL is not None and (KERNEL.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) or os.getppid() != parent):
        os._exit(1)


def set_title(words: Sequence[str]) -> None:
    """Have `ps` show these words as the command of this process, as many as there is room for, instead of its parent's.

    They are written where the kernel has put the arguments of the program. Where that place is not told, nothing changes.
    """
    if KERNEL is None:
        return
    KERNEL.prctl(PR_SET_NAME, words[0].encode()[:15], 0, 0, 0)
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
        begin, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, see proc(5)
        if 0 < begin < end:
            room = end - begin
            text = b"\0".join(word.encode() for word in words)[: room - 1]
            ctypes.memmove(begin, text.ljust(room, b"\0"), room)


def _popen(command: Sequence[str]) -> Process:
    dies_with_us = partial(end_with, os.getpid())
    return subprocess.Popen(  # noqa: S603
        command, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=dies_with_us
    )


class Child:
    """One process that is to run; started again when it dies, after a growing pause when it dies young."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name, self.command = name, command
        self.pause = 0.0
        self.start()

    def start(self) -> None:
        """Start the process as the leader of a session that dies with this one."""
        self.process = self._start()
        self.started_at = time.monotonic()
        self.restart_at: float | None = None

    def _start(self) -> Process:
        return _popen(self.command)

    def signal(self, number: int) -> None:
        """Signal the process and everything in its session."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            if self.process.poll() is None:  # it was forked a moment ago, and does not lead its session yet
                os.kill(self.process.pid, number)

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


class ModuleChild(Child):
    """A child that runs a module of Python: `command` is its name and its arguments. It is forked where that is possible.

    `title` is what tells it from others, in few words: the command of a fork has little room (`set_title`).
    """

    def __init__(self, name: str, command: Sequence[str], title: Sequence[str]) -> None:
        self.title = title
        super().__init__(name, command)

    def _start(self) -> Process:
        if CAN_FORK:
            return Forked(self.command, self.title)
        return _popen((sys.executable, "-W", f"ignore:{NO_NEWS}", "-m", *self.command))


class Wake:
    """Sleep that ends when a signal comes: of a child's end, or one of STOPS, which `stops` notes.

    There is one in a process, made by its main thread. Files in `closed_in_children` are not for children to keep.
    """

    _here: "Wake | None" = None

    def __init__(self) -> None:
        self.stops: list[int] = []
        self.closed_in_children: list[IO[str]] = []
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in STOPS:
            signal.signal(number, lambda received, _: self.stops.append(received))
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler the pipe would hear nothing of it
        Wake._here = self

    def wait(self, seconds: float | None) -> None:
        """Sleep for so many seconds (None: as long as it takes), or until a signal has come since the last wait."""
        if select.select([self._reader], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 4096)

    @classmethod
    def forget(cls) -> None:
        """In a forked child: the signals, and what its keeper holds open, are the keeper's alone."""
        if cls._here is None:
            return
        signal.set_wakeup_fd(-1)
        os.close(cls._here._reader)
        os.close(cls._here._writer)
        for file in cls._here.closed_in_children:
            file.close()
        cls._here = None


def freeze() -> None:
    """What is loaded by now stays: no later collection of garbage writes into memory that forked children share."""
    gc.disable()  # `_run_module` enables it in the children; a keeper makes no garbage
    gc.freeze()
    if threading.active_count() > 1:
        raise RuntimeError(f"A process with threads must not be forked: {threading.enumerate()}")


def keep(children: list[Child], wake: Wake, *, until_next: Callable[[], float | None] = lambda: None) -> None:
    """Keep the children running until one of STOPS comes.

    `until_next` is called whenever anything has happened, and says in how many seconds it wants to be called at the latest.
    """
    while not wake.stops:
        for child in children:
            child.look()
        now = time.monotonic()
        pauses = [max(0.0, child.restart_at - now) for child in children if child.restart_at is not None]
        if (next_call := until_next()) is not None:
            pauses.append(next_call)
        wake.wait(min(pauses, default=None))


def end(children: list[Child], grace: float) -> None:
    """End the children: with SIGTERM, and after `grace` seconds with SIGKILL, and whatever they have started."""
    for child in children:
        child.signal(signal.SIGTERM)
    until = time.monotonic() + grace
    for child in children:
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            print(f"{child.name} does not end by itself, killing it", flush=True)
        child.signal(signal.SIGKILL)
        child.process.wait()

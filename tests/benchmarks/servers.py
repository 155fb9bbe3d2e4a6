"""Servers and visitors' tickets for the benchmarks of the live process."""

import contextlib
import hashlib
import json
import os
import resource
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dialogs.live import tickets
from dialogs.models import Visitor
from operators.models import Account
from tests.services import free_port
from webim_offline.commands import LIVE_OPTIONS

ROOT = Path(__file__).resolve().parents[2]
LIVE = "webim_offline.asgi:live"


def allow_many_files(wanted: int) -> None:
    """Raise this process's limit of open files, and with it its children's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted, hard))


@contextlib.contextmanager
def serving(app: str, port: int = 0) -> Iterator[tuple[psutil.Popen, int]]:
    """A uvicorn process with the options production uses; the process and its port."""
    port = port or free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), *LIVE_OPTIONS]
    # all visitors of a benchmark come from one address
    with _running(command, port, env=os.environ | {"STREAMS_PER_ADDRESS": "100000"}) as process:
        yield process, port


@contextlib.contextmanager
def serving_pages() -> Iterator[int]:
    """Django under granian, as production runs it (docs/deploy.md), behind a proxy on this machine; its port."""
    with granian("asgi", "webim_offline.asgi:web") as (_, port):
        yield port


@contextlib.contextmanager
def granian(interface: str, app: str, *options: str, cwd: Path = ROOT, **environment: str) -> Iterator[tuple[psutil.Popen, int]]:
    """A granian process with the options production uses; the process and its port."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", interface, app, "--port", str(port), *options]
    always = ["--http", "1", "--no-ws", "--backlog", "4096", "--backpressure", "16384", "--log-level", "warning"]
    with _running([*command, *always], port, cwd=cwd, env=os.environ | {"TRUSTED_PROXIES": "127.0.0.1"} | environment) as process:
        yield process, port


@contextlib.contextmanager
def _running(command: list[str], port: int, **options: Any) -> Iterator[psutil.Popen]:
    process = psutil.Popen(command, **({"cwd": ROOT} | options))
    try:
        until = time.monotonic() + 30
        while not _answers(port):
            assert process.poll() is None, f"{command} did not start"
            assert time.monotonic() < until, f"{command} did not start in time"
            time.sleep(0.1)
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
        try:
            process.wait(10)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Page:
    """An open page of a fresh visitor, who has the token."""

    visitor_id: int
    token: str
    claims: dict[str, Any]

    @property
    def key(self) -> str:
        return self.claims["k"]

    def ticket(self) -> str:
        return tickets.issue(tickets.VISIT, self.claims)


def open_pages(account: Account, count: int) -> list[Page]:
    """So many pages, each of another visitor."""
    place = {"a": account.pk, "d": None, "l": account.languages.first().pk}
    tokens = [secrets.token_urlsafe(24) for _ in range(count)]
    visitors = Visitor.objects.bulk_create(
        Visitor(account=account, token_digest=hashlib.sha256(token.encode()).hexdigest()) for token in tokens
    )
    return [
        Page(visitor.pk, token, place | {"v": visitor.pk, "k": f"page-of-visitor-{visitor.pk}"})
        for visitor, token in zip(visitors, tokens, strict=True)
    ]


@contextlib.contextmanager
def posting(port: int, path: str, bodies: list[str], connections: int = 32) -> Iterator[subprocess.Popen]:
    """A load generator that is ready; see `posts`."""
    command = [sys.executable, "-m", "tests.benchmarks.posts", str(port), path, str(connections)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        client.stdin.write("\n".join(bodies) + "\n\n")
        yield client
        client.stdin.close()


def post_for(client: subprocess.Popen, seconds: float) -> float:
    """Answers a second; all of them must be successes."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(f"{seconds}\n")
    client.stdin.flush()
    answered, refused = map(int, client.stdout.readline().split())
    assert refused == 0, f"{refused} of {answered} were refused"
    return answered / seconds


class Crowd:
    """Many WebSocket clients in a process of their own; see `sockets`."""

    def __init__(self, path: str) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.sockets", path]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, *words: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, *words: object) -> dict:
        self.begin(*words)
        return self.answer()

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)

"""The PostgreSQL and Redis that tests and benchmarks use: those on this machine that answer, else ones of our own."""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import redis
from psycopg import sql

PR_SET_PDEATHSIG = 1


class Missing(Exception):
    """A service neither answers nor is installed; `str()` names its package."""


def free_port() -> int:
    """A TCP port on the loopback interface that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL where databases may be created, without a database name."""
    known = "postgres://postgres@127.0.0.1:5432"
    if _postgresql_answers(known):
        yield known
        return
    with own_postgresql() as (address, _server):
        yield address


@contextlib.contextmanager
def own_postgresql() -> Iterator[tuple[str, subprocess.Popen]]:
    """A PostgreSQL that nobody else uses, and its process; its data is thrown away."""
    programs = _postgresql_programs()
    with _folder() as folder:
        owner = _owner()
        if owner:
            shutil.chown(folder, owner.pw_uid, owner.pw_gid)
        data, port = folder / "data", free_port()
        setup = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(setup, check=True, stdout=subprocess.DEVNULL, **_as(owner))
        server = [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
        for setting in ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"):
            server += ["-c", setting]
        address = f"postgres://postgres@127.0.0.1:{port}"
        with _running(server, folder / "log", lambda: _postgresql_answers(address), stop=signal.SIGQUIT, **_as(owner)) as process:
            yield address, process


@contextlib.contextmanager
def database(address: str, name: str) -> Iterator[str]:
    """A database of its own at a PostgreSQL's address; dropped afterwards."""
    identifier = sql.Identifier(name)
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        yield f"{address}/{name}"
    finally:
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The address of a Redis, without a database number."""
    known = "redis://127.0.0.1:6379"
    if _redis_answers(known):
        yield known
        return
    program = shutil.which("redis-server")
    if program is None:
        raise Missing("redis-server")
    with _folder() as folder:
        port = free_port()
        address = f"redis://127.0.0.1:{port}"
        server = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        with _running(server, folder / "log", lambda: _redis_answers(address), stop=signal.SIGTERM):
            yield address


def _postgresql_answers(address: str) -> bool:
    try:
        with psycopg.connect(f"{address}/postgres", connect_timeout=3) as connection:
            row = connection.execute("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone()
            return bool(row and row[0])
    except psycopg.Error:
        return False


def _redis_answers(address: str) -> bool:
    try:
        with redis.Redis.from_url(address, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _postgresql_programs() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which("initdb")
    if found is None or (os.geteuid() == 0 and _owner() is None):
        raise Missing("postgresql")
    return Path(found).parent


def _owner() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then its own user runs it."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


def _as(owner: pwd.struct_passwd | None) -> dict:
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": [], "cwd": "/"} if owner else {}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="webim-offline-services-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _running(command: list, log: Path, answers: Callable[[], bool], *, stop: int, **options) -> Iterator[subprocess.Popen]:
    kernel = ctypes.CDLL(None) if sys.platform == "linux" else None

    def end_with_us() -> None:
        if kernel is not None:
            kernel.prctl(PR_SET_PDEATHSIG, stop)

    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_us, **options
        )
    try:
        until = time.monotonic() + 30
        while not answers():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(stop)
        process.wait(20)

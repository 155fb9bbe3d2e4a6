"""The PostgreSQL and Redis that tests and benchmarks use: those on this machine that answer, else ones of our own; nginx."""

import contextlib
import ctypes
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import redis
from psycopg import sql

PR_SET_PDEATHSIG = 1
SECRET_KEY = secrets.token_urlsafe(48)  # of a production start; new in every run, for one that stands in a repository is none


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
def own_postgresql(
    *, can_be_killed: bool = False, tls: tuple[Path, Path] | None = None, **environment: str
) -> Iterator[tuple[str, "Server"]]:
    """A PostgreSQL that nobody else uses, and its server, which can be stopped and started; its data is thrown away.

    What it commits outlives its processes if it `can_be_killed`, but never the machine. `tls`: its certificate and key; it
    speaks TLS then to those who ask for it.
    """
    programs = _postgresql_programs()
    with _folder() as folder:
        owner = _owner()
        if owner:
            shutil.chown(folder, owner.pw_uid, owner.pw_gid)
        data, port = folder / "data", free_port()
        setup = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(setup, check=True, stdout=subprocess.DEVNULL, **_as(owner))
        command = [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
        lasting = () if can_be_killed else ("synchronous_commit=off",)
        for setting in ("fsync=off", "full_page_writes=off", "max_connections=200", *lasting):
            command += ["-c", setting]
        for setting, file in zip(("ssl_cert_file", "ssl_key_file"), tls or (), strict=False):
            own = Path(shutil.copy(file, folder))  # readable by its owner alone, or PostgreSQL refuses it
            own.chmod(0o600)
            if owner:
                shutil.chown(own, owner.pw_uid, owner.pw_gid)
            command += ["-c", f"{setting}={own}", "-c", "ssl=on"]
        address = f"postgres://postgres@127.0.0.1:{port}"
        answers = functools.partial(_postgresql_answers, address)
        server = Server(command, folder / "log", answers, stop=signal.SIGINT, env=os.environ | environment, **_as(owner))
        with server.running():
            yield address, server


def postgresql_program(name: str) -> Path:
    """The path of a PostgreSQL client or server program. Raises Missing."""
    return _postgresql_programs() / name


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
    with own_redis() as address:
        yield address


def ends_with_us(stop: int) -> Callable[[], None]:
    """For a child to call before it begins: it gets the signal `stop` when the thread that started it ends."""
    kernel = ctypes.CDLL(None) if sys.platform == "linux" else None

    def end_with_us() -> None:
        if kernel is not None:
            kernel.prctl(PR_SET_PDEATHSIG, stop)

    return end_with_us


@contextlib.contextmanager
def own_redis(*options: str) -> Iterator[str]:
    """A Redis that nobody else uses; nothing of it is kept. `options` of its command, beside ours."""
    with own_redis_server(*options) as (address, _server):
        yield address


@contextlib.contextmanager
def own_redis_server(*options: str) -> Iterator[tuple[str, "Server"]]:
    """The same, and its server, which can be stopped and started."""
    program = shutil.which("redis-server")
    if program is None:
        raise Missing("redis-server")
    with _folder() as folder:
        port = free_port()
        address = f"redis://127.0.0.1:{port}"
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        command += options
        server = Server(command, folder / "log", functools.partial(_redis_answers, address), stop=signal.SIGTERM)
        with server.running():
            yield address, server


def nginx_program() -> str:
    """The path of nginx; ordinary users have no /usr/sbin in their PATH."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Missing("nginx")
    return program


@contextlib.contextmanager
def nginx(folder: Path, port: int) -> Iterator["Server"]:
    """An nginx in the foreground that answers on `port`, as `nginx.conf` in its folder says."""
    command = [nginx_program(), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    command += ["-g", f"daemon off; pid {folder}/nginx.pid;"]
    with Server(command, folder / "log", functools.partial(_listens, port), stop=signal.SIGTERM).running() as server:
        yield server


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


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


class Server:
    """A server of ours: started when it `answers`, stopped by the signal `stop`, on the same data and port each time."""

    def __init__(self, command: list, log: Path, answers: Callable[[], bool], *, stop: int, **options) -> None:
        self.command, self.log, self.answers, self.stop_signal, self.options = command, log, answers, stop, options
        self.process: subprocess.Popen | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=ends_with_us(self.stop_signal),
                **self.options,
            )
        until = time.monotonic() + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.command[0]} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it and wait until it has ended; whoever is connected is cut off."""
        assert self.process is not None
        self.process.send_signal(self.stop_signal)
        self.process.wait(20)

    def kill(self) -> None:
        """kill -9 of all its processes; it can be started again."""
        parent = psutil.Process(self.pid)
        everything = [parent, *parent.children(recursive=True)]
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everything, 20)

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Its connections stand and nothing answers, as when its machine sleeps."""
        parent = psutil.Process(self.pid)
        everything = [parent, *parent.children(recursive=True)]
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in reversed(everything):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        """Started now, stopped afterwards."""
        try:
            self.start()
            yield self
        finally:
            if self.process is not None and self.process.poll() is None:
                self.stop()

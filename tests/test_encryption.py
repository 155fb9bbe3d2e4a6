"""What leaves the machine is encrypted and goes to a peer whose certificate bears the name it was called by (item 16, "TLS").

Real servers on the loopback interface with certificates of an authority made here. What counts is what arrives there.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.db import DatabaseError
from django.db.utils import ConnectionHandler

from tests import services
from tests.certificates import Authority
from tests.running import ROOT
from webim_offline.foundation import environment as env
from webim_offline.foundation.encryption import is_local

# make test-deps installs it; under CI its absence is a failure, not a skip
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None and os.environ.get("CI") != "true", reason="openssl makes the certificates"
)
HERE, ELSEWHERE = "localhost", "other.example"


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory(prefix="webim-offline-tls-") as folder:
        yield Authority(Path(folder))


@pytest.mark.parametrize(
    "host", ["", "localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1", "/var/run/postgresql"]
)
def test_this_machine(host):
    assert is_local(host)


@pytest.mark.parametrize(
    "host", ["db", "localhost.example", "127.0.0.1.example", "0.0.0.0", "::", "10.0.0.1", "192.168.0.7", "fe80::1%eth0", "1.1.1.1"]
)
def test_another_machine(host):
    assert not is_local(host)


# ----- Redis: everything that speaks with it, each by what it leaves there -----

SPEAK = """
import asyncio, contextlib, os
import django
django.setup()
from django.conf import settings
from django.core.cache import cache
from redis import Redis
from webim_offline.foundation import realtime
from webim_offline.celery import app

said = []
def attempt(action):
    try:
        action()
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")

async def listen():
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(realtime.listen(lambda channels: None, lambda: None), 1)

attempt(lambda: cache.set("cached", 1))
attempt(lambda: realtime.tell(["told"]))
attempt(lambda: app.send_task("dialogs.tasks.advance_dialogs", queue="sent", retry=False))
attempt(lambda: asyncio.run(listen()))
print(*said, sep="\\n")
"""


def arrived(secure: str, plain: str, **variables: str) -> tuple[set[str], str]:
    """What a process with this REDIS_URL managed to leave in the Redis that also answers at `plain`; and its complaints."""
    with redis.Redis.from_url(plain) as look, tempfile.TemporaryDirectory() as folder:
        look.flushall()
        look.config_resetstat()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = inherited | {"REDIS_URL": secure, "VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "webim_offline.settings"}
        command = [sys.executable, "-c", SPEAK]
        ran = subprocess.run(
            command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        calls = {name.removeprefix("cmdstat_") for name in look.info("commandstats")}
        found = {"cache" for key in look.scan_iter("*cached*")} | {"broker" for _ in range(look.llen("sent"))}
        found |= {"hints" for _ in {"publish"} & calls} | {"listening" for _ in {"subscribe"} & calls}
        return found, ran.stdout + ran.stderr


@pytest.fixture(scope="module", params=[HERE, ELSEWHERE])
def tls_redis(authority, request):
    """(the name of its certificate, its rediss:// address, its plain one)"""
    certificate, key = authority.issue(request.param)
    port = services.free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(authority.file), "--tls-auth-clients", "no"]
    with services.own_redis(*options) as plain:
        yield request.param, f"rediss://localhost:{port}/0", f"{plain}/0"


@needs_openssl
def test_redis_must_show_a_certificate_of_its_name_to_everyone_who_speaks_with_it(authority, tls_redis):
    name, secure, plain = tls_redis
    for query, variables in ((f"?ssl_ca_certs={authority.file}", {}), ("", {"SSL_CERT_FILE": str(authority.file)})):
        found, said = arrived(f"{secure}{query}", plain, **variables)
        assert found == ({"cache", "hints", "broker", "listening"} if name == HERE else set()), said
        assert (name == HERE) == ("certificate" not in said), said


@needs_openssl
def test_redis_must_show_a_certificate_that_somebody_we_know_vouches_for(tls_redis):
    _name, secure, plain = tls_redis
    found, said = arrived(secure, plain)
    assert found == set(), said
    assert "certificate" in said


# ----- PostgreSQL -----


@pytest.fixture(scope="module")
def postgresql_of(authority):
    """Starts a PostgreSQL whose certificate bears a name (none: without TLS); returns its port."""
    with contextlib.ExitStack() as stack:
        ports: dict[str, str] = {}

        def start(name: str) -> str:
            if name not in ports:
                tls = authority.issue(name) if name else None
                address, _server = stack.enter_context(services.own_postgresql(tls=tls))
                ports[name] = address.rpartition(":")[2]
            return ports[name]

        yield start


def greeting(url: str) -> bool:
    """Connect as the settings do; was it by TLS? Raises DatabaseError."""
    connection = ConnectionHandler({"default": env.database(url, Path("x"))})["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            return cursor.fetchone()[0]
    finally:
        connection.close()


def address(port: str, **options: str) -> str:
    """Of a PostgreSQL that is called db.example, which leads to this machine without a name server."""
    return f"postgres://postgres@db.example:{port}/postgres?hostaddr=127.0.0.1" + "".join(
        f"&{name}={value}" for name, value in options.items()
    )


@needs_openssl
class TestPostgreSQL:
    @pytest.fixture(autouse=True)
    def other_databases_than_the_test_s(self, django_db_blocker):
        with django_db_blocker.unblock():
            yield

    def test_another_machine_must_speak_tls(self, postgresql_of):
        with pytest.raises(DatabaseError, match="server does not support SSL, but SSL was required"):
            greeting(address(postgresql_of("")))

    def test_unless_the_address_says_so(self, postgresql_of):
        assert greeting(address(postgresql_of(""), sslmode="disable")) is False

    def test_its_certificate_must_bear_the_name(self, postgresql_of, authority):
        with pytest.raises(DatabaseError, match="does not match host name"):
            greeting(address(postgresql_of(ELSEWHERE), sslrootcert=str(authority.file)))
        assert greeting(address(postgresql_of("db.example"), sslrootcert=str(authority.file))) is True

    def test_somebody_we_know_must_vouch_for_it(self, postgresql_of, authority, monkeypatch):
        """Whom the machine knows; libpq's own default would look where psycopg's wheels have no certificates."""
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(DatabaseError, match="certificate verify failed"):
            greeting(address(postgresql_of("db.example")))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert greeting(address(postgresql_of("db.example"))) is True
        with pytest.raises(DatabaseError, match="does not match host name"):
            greeting(address(postgresql_of(ELSEWHERE), sslrootcert="system"))

    def test_weaker_words_are_words(self, postgresql_of, authority):
        assert greeting(address(postgresql_of(ELSEWHERE), sslmode="require")) is True
        assert greeting(address(postgresql_of(ELSEWHERE), sslmode="verify-ca", sslrootcert=str(authority.file))) is True

    def test_this_machine_may_go_without(self, postgresql_of):
        assert greeting(f"postgres://postgres@127.0.0.1:{postgresql_of('')}/postgres") is False
        assert greeting(f"postgres://postgres@localhost:{postgresql_of('')}/postgres?hostaddr=127.0.0.1") is False

    @pytest.mark.parametrize("command", [("-m", "webim_offline.supervisor"), ("-c", "import webim_offline.wsgi")])
    def test_the_service_does_not_start_without(self, postgresql_of, tmp_path, command):
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {"DATABASE_URL": address(postgresql_of("")), "SECRET_KEY": services.SECRET_KEY, "VAR_DIR": str(tmp_path / "var")}
        own |= {"PORT": str(services.free_port())}
        (tmp_path / "var" / "static").mkdir(parents=True)  # or whitenoise has a line of its own to say
        ran = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=inherited | own, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 1
        (line,) = ran.stderr.strip().splitlines()
        assert "server does not support SSL, but SSL was required (Another machine's PostgreSQL must speak TLS" in line


@pytest.mark.parametrize(
    ("url", "variables"),
    [
        ("postgres://127.0.0.1/name?hostaddr=192.0.2.7", {}),
        ("postgres://localhost,db.example/name", {}),
        ("postgres:///name?host=db.example", {}),
        ("postgres:///name?service=elsewhere", {}),
        ("postgres:///name", {"PGHOST": "db.example"}),
        ("postgres://127.0.0.1/name", {"PGHOSTADDR": "192.0.2.7"}),
        ("postgres://db.example/name", {"PGSSLMODE": "disable"}),
    ],
)
def test_no_other_way_of_naming_another_machine_goes_without(url, variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert env.database(url, Path("x"))["OPTIONS"]["sslmode"] == "verify-full"

"""The environment: what is understood, and what is refused in one line, by every process (interfaces.md, "Commands")."""

import ipaddress
import os
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests import services
from tests.services import free_port
from webim_offline.foundation import environment as env
from webim_offline.foundation.environment import MailServer, Refused

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def given(monkeypatch):
    """Sets the variable X."""
    return lambda value: monkeypatch.setenv("X", value)


@pytest.mark.parametrize("value", ["1", "true", "Yes", " ON "])
def test_a_yes(given, value):
    given(value)
    assert env.flag("X") is True


@pytest.mark.parametrize("value", ["0", "false", "No", "off"])
def test_a_no(given, value):
    given(value)
    assert env.flag("X", default=True) is False


def test_an_unset_or_empty_variable_is_the_default(given):
    given("")
    assert env.flag("X", default=True) is True
    assert env.port("X", 8000) == 8000
    assert env.text("NOT_SET", "so") == "so"
    assert env.words("X", "a,b") == ["a", "b"]


def test_neither_yes_nor_no_is_refused(given):
    given("perhaps")
    with pytest.raises(Refused, match="X='perhaps'"):
        env.flag("X")


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "80.5", "٨"])
def test_what_is_no_port_is_refused(given, value):
    given(value)
    with pytest.raises(Refused, match="port number"):
        env.port("X", 8000)


def test_rate_limits_take_the_place_of_defaults(given):
    given("tea = 5/s, water=100/day")
    assert env.rate_limits("X", {"tea": "1/min", "water": "2/min", "milk": "3/min"}) == {
        "tea": "5/s",
        "water": "100/day",
        "milk": "3/min",
    }


@pytest.mark.parametrize("rate", ["0/min", "-1/min", "many", "", "60", "60/", "/min", "60/month", "1.5/min", "٨/min", "1000001/s"])
def test_what_is_no_rate_is_refused(given, rate):
    given(f"tea={rate}")
    with pytest.raises(Refused, match=f"X: tea='{rate}': write a number from 1 to 1000000 and s, min, hour or day, such as 60/min"):
        env.rate_limits("X", {"tea": "1/min"})


@pytest.mark.parametrize("word", ["coffee=5/min", "5/min", "=5/min", "TEA=5/min"])
def test_a_limit_that_does_not_exist_is_refused(given, word):
    given(word)
    with pytest.raises(Refused, match="There are milk, tea"):
        env.rate_limits("X", {"tea": "1/min", "milk": "1/min"})


def test_words_are_trimmed_and_empty_ones_dropped(given):
    given(" a , ,b,")
    assert env.words("X") == ["a", "b"]


def test_networks(given):
    given("10.0.0.0/8, 192.0.2.7, ::1")
    assert env.networks("X") == [ipaddress.ip_network(word) for word in ("10.0.0.0/8", "192.0.2.7/32", "::1/128")]
    given("10.0.0.0/8, localhost")
    with pytest.raises(Refused, match="'localhost'"):
        env.networks("X")


def test_no_database_address_means_the_embedded_file():
    assert env.database("", Path("/data/x.sqlite3"))["NAME"] == "/data/x.sqlite3"


def test_a_postgresql_address():
    found = env.database("postgres://user:p%40ss@db.example:6432/name", Path("x"))
    assert (found["ENGINE"], found["HOST"], found["PORT"]) == ("webim_offline.foundation.database.postgresql", "db.example", 6432)
    assert (found["USER"], found["PASSWORD"], found["NAME"]) == ("user", "p@ss", "name")
    assert found["OPTIONS"]["connect_timeout"] == 5
    assert env.database("postgres://db/name?connect_timeout=9", Path("x"))["OPTIONS"]["connect_timeout"] == 9


def test_a_postgresql_socket():
    found = env.database("postgres:////var/run/postgresql/webim_offline", Path("x"))
    assert (found["HOST"], found["NAME"]) == ("/var/run/postgresql", "webim_offline")
    assert "sslmode" not in found["OPTIONS"]


def test_a_sqlite_address():
    assert env.database("sqlite:////data/other.sqlite3", Path("x"))["NAME"] == "/data/other.sqlite3"


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://db/name", "postgres:/db", "postgres://db:port/name", "postgres://[db/name", "postgres://db", "://"]
)
def test_a_database_address_that_cannot_be_read(url):
    with pytest.raises(Refused, match="DATABASE_URL"):
        env.database(url, Path("x"))


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", MailServer("mail.example", 25)),
        ("smtp://mail.example:2525", MailServer("mail.example", 2525)),
        ("smtp://a%40b:p%3Aw@127.0.0.1", MailServer("127.0.0.1", 25, "a@b", "p:w")),
        ("smtp://user:password@localhost:1025", MailServer("localhost", 1025, "user", "password")),
        ("smtp://user:password@mail.example?plaintext=1", MailServer("mail.example", 25, "user", "password")),
        ("smtp://user:password@mail.example?starttls=1", MailServer("mail.example", 25, "user", "password", starttls=True)),
        ("smtps://user:password@mail.example", MailServer("mail.example", 465, "user", "password", tls=True)),
        ("smtps://mail.example", MailServer("mail.example", 465, tls=True)),
        ("smtp://mail.example:587/?starttls=1", MailServer("mail.example", 587, starttls=True)),
        ("smtp://mail.example?starttls=0", MailServer("mail.example", 25)),
        ("smtp://[::1]:1025", MailServer("::1", 1025)),
    ],
)
def test_a_mail_server(url, server):
    assert env.mail_server(url) == server


def test_no_mail_server():
    assert env.mail_server("") is None


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example:port",
        "smtp://mail.example:0",
        "smtp://mail.example:99999",
        "smtp://mail.example/inbox",
        "smtp://mail.example?starttls=maybe",
        "smtp://mail.example?plain=1",
        "smtp://mail.example?ssl=1",
        "smtp://[mail.example",
    ],
)
def test_a_mail_server_that_cannot_be_read(url):
    with pytest.raises(Refused, match="EMAIL_URL cannot be read"):
        env.mail_server(url)


@pytest.mark.parametrize("url", ["smtp://user:password@mail.example", "smtp://user:password@192.0.2.7?plaintext=0"])
def test_a_password_for_another_machine_needs_tls(url):
    with pytest.raises(Refused, match=r"password to another machine without TLS: write smtps://, add \?starttls=1"):
        env.mail_server(url)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:password@localhost:6380/3", "redis://:password@localhost:6380/3"),
        ("redis://[::1]", "redis://[::1]"),
        ("redis://cache:6380/3?plaintext=1", "redis://cache:6380/3"),
    ],
)
def test_a_redis_address(given, value, url):
    given(value)
    assert env.redis_url("X") == url


def test_a_redis_address_with_tls_says_itself_that_certificates_are_checked(given):
    given("rediss://:secret@cache:6380/0")
    assert env.redis_url("X") == "rediss://:secret@cache:6380/0?ssl_cert_reqs=required&ssl_check_hostname=true"


@pytest.mark.parametrize("value", ["redis://cache", "redis://:secret@192.0.2.7/0", "redis://cache?plaintext=0"])
def test_another_machine_s_redis_needs_tls(given, value):
    given(value)
    with pytest.raises(Refused, match=r"X leads to another machine without TLS: write rediss://, or add \?plaintext=1"):
        env.redis_url("X")


@pytest.mark.parametrize(
    "value",
    [
        "cache:6379",
        "http://cache",
        "redis://",
        "redis://cache:port",
        "redis://cache/first",
        "redis://[c",
        "rediss://cache?ssl_cert_reqs=none",
        "rediss://cache?ssl_check_hostname=false",
        "redis://127.0.0.1?ssl_ca_certs=/a",
        "redis://127.0.0.1?db",
    ],
)
def test_a_redis_address_that_cannot_be_read(given, value):
    given(value)
    with pytest.raises(Refused, match="X cannot be read"):
        env.redis_url("X")


def test_an_authority_that_cannot_be_read(given, tmp_path):
    file = tmp_path / "ca.pem"
    for reason in ("No such file", "NO_CERTIFICATE_OR_CRL_FOUND"):
        given(f"rediss://cache?ssl_ca_certs={file}")
        with pytest.raises(Refused, match=f"{file} cannot be read as certificates: .*{reason}"):
            env.redis_url("X")
        file.write_text("no certificate")


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://chat.example/", "https://chat.example"),
        ("http://localhost:81/c/", "http://localhost:81/c"),
        ("http://127.0.0.2:81", "http://127.0.0.2:81"),
        ("http://[::1]:81", "http://[::1]:81"),
        ("http://h:81/c/?plaintext=1", "http://h:81/c"),
        ("http://192.168.0.7:8000?plaintext=1", "http://192.168.0.7:8000"),
    ],
)
def test_a_public_address_loses_its_last_slash(monkeypatch, value, url):
    monkeypatch.setenv("PUBLIC_URL", value)
    assert env.public_url("") == url


@pytest.mark.parametrize("value", ["http://chat.example", "http://192.168.0.7:8000", "http://0.0.0.0:8000", "http://c?plaintext=0"])
def test_a_public_address_for_others_needs_tls(monkeypatch, value):
    monkeypatch.setenv("PUBLIC_URL", value)
    with pytest.raises(Refused, match=r"is without TLS: write https://, or add \?plaintext=1"):
        env.public_url("")


@pytest.mark.parametrize(
    "value",
    [
        "chat.example",
        "ftp://chat.example",
        "https://",
        "https://c?x=1",
        "https://c#x",
        "https://c:port",
        "http://c?plaintext=no+way",
    ],
)
def test_a_public_address_that_cannot_be_read(monkeypatch, value):
    monkeypatch.setenv("PUBLIC_URL", value)
    with pytest.raises(Refused, match="PUBLIC_URL"):
        env.public_url("")


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("https://chat.example", "noreply@chat.example"),
        ("http://127.0.0.1:8000", "noreply@localhost"),
        ("http://[::1]", "noreply@localhost"),
    ],
)
def test_the_default_sender(url, sender):
    assert env.default_sender(url) == sender


@pytest.mark.parametrize("value", ["chat@mail.example", "North Tea <chat@mail.example>"])
def test_a_sender(given, value):
    given(value)
    assert env.sender("X", "") == value


@pytest.mark.parametrize("value", ["chat", "chat@", "North Tea <chat>", "a@b.example\nBcc: c@d.example"])
def test_what_is_no_sender_is_refused(given, value):
    given(value)
    with pytest.raises(Refused, match="not an e-mail address"):
        env.sender("X", "")


def test_time_zones(given):
    given("Europe/Moscow")
    assert env.time_zone("X") == "Europe/Moscow"
    for wrong in ("Moscow", "../etc/passwd", "/etc/localtime"):
        given(wrong)
        with pytest.raises(Refused, match="no time zone"):
            env.time_zone("X")


KEY = services.SECRET_KEY


class TestSecret:
    def test_the_embedded_mode_makes_its_own_once(self, tmp_path):
        first = env.secret("X", embedded=True, folder=tmp_path / "var", strong=False)
        assert len(first) >= 50
        assert env.secret("X", embedded=True, folder=tmp_path / "var", strong=True) == first
        assert (tmp_path / "var" / "x").stat().st_mode & 0o077 == 0

    def test_processes_that_start_together_agree(self, tmp_path):
        with ThreadPoolExecutor(8) as threads:
            made = set(threads.map(lambda _: env.secret("X", embedded=True, folder=tmp_path, strong=False), range(40)))
        assert len(made) == 1

    def test_a_given_one_wins(self, given, tmp_path):
        given("given")
        assert env.secret("X", embedded=True, folder=tmp_path, strong=False) == "given"
        given(KEY)
        assert env.secret("X", embedded=False, folder=tmp_path, strong=True) == KEY
        assert not list(tmp_path.iterdir())

    def test_production_needs_one(self, tmp_path):
        with pytest.raises(Refused, match=r"X is not set: .*secrets\.token_urlsafe\(48\)"):
            env.secret("X", embedded=False, folder=tmp_path, strong=True)

    def test_a_weak_one_is_refused_where_others_come(self, given, tmp_path):
        given("change-this")
        with pytest.raises(Refused, match=r'^X is shorter than 40 characters: make one with python3 -c "import secrets; print'):
            env.secret("X", embedded=False, folder=tmp_path, strong=True)

    def test_a_file_that_lost_its_key_is_told(self, tmp_path):
        (tmp_path / "x").write_text("")
        with pytest.raises(Refused, match="was cut short: remove the file"):
            env.secret("X", embedded=True, folder=tmp_path, strong=False)

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "var").write_text("a file is in the way")
        with pytest.raises(Refused, match="cannot be used"):
            env.secret("X", embedded=True, folder=tmp_path / "var", strong=False)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}}
    command = (sys.executable, *command)
    return subprocess.run(command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, timeout=180, check=False)


def assert_refused_in_one_line(done: subprocess.CompletedProcess, reason: str) -> None:
    assert done.returncode == 1, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert reason in done.stderr
    assert done.stdout == ""


SUPERVISOR = ("-m", "webim_offline.supervisor")
MANAGE = ("manage.py", "check")
WORKER = ("-m", "celery", "-A", "webim_offline", "worker", "--pool=solo")
WEB = ("-m", "uvicorn", "webim_offline.asgi:application", "--port", "0")
POSTGRES = "postgres://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize("command", [SUPERVISOR, MANAGE, WORKER, WEB], ids=["supervisor", "manage.py", "worker", "web"])
def test_every_process_refuses_in_one_line(command, tmp_path):
    assert_refused_in_one_line(run(*command, VAR_DIR=str(tmp_path), DATABASE_URL="nonsense"), "DATABASE_URL cannot be read")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"EMAIL_URL": "mail.example"}, "EMAIL_URL cannot be read"),
        ({"DATABASE_URL": POSTGRES}, "SECRET_KEY is not set"),
        (
            {"DATABASE_URL": POSTGRES, "SECRET_KEY": "change-this"},
            "SECRET_KEY is shorter than 40 characters: make one with python3",
        ),
        ({"HOST": "0.0.0.0", "SECRET_KEY": "x"}, "SECRET_KEY is shorter than 40 characters"),
        ({"PUBLIC_URL": "https://chat.example", "SECRET_KEY": "x"}, "SECRET_KEY is shorter than 40 characters"),
        ({"DATABASE_URL": POSTGRES, "SECRET_KEY": KEY, "DEBUG": "1"}, "DEBUG is on"),
        ({"DATABASE_URL": POSTGRES, "SECRET_KEY": KEY}, "The database cannot be used: connection"),
        ({"REDIS_URL": "redis://cache:6379/0"}, "REDIS_URL leads to another machine without TLS"),
        ({"EMAIL_URL": "smtp://user:password@mail.example"}, "EMAIL_URL sends a password to another machine without TLS"),
        ({"PUBLIC_URL": "http://chat.example"}, "PUBLIC_URL='http://chat.example' is without TLS"),
        ({"DATABASE_URL": "postgres://db/name?sslmode=on"}, "DATABASE_URL: sslmode=on is none of allow, disable, prefer"),
        ({"HOST": "no such host"}, "HOST='no such host' is no address"),
        ({"VAR_DIR": "/dev/null/var"}, "/dev/null/var cannot be"),
        ({"SECRET_KEY": "s", "VAR_DIR": "/dev/null/var"}, "/dev/null/var cannot be written"),
    ],
)
def test_the_service_does_not_start(environment, reason, tmp_path):
    assert_refused_in_one_line(run(*SUPERVISOR, **{"VAR_DIR": str(tmp_path)} | environment), reason)


def test_a_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run(*SUPERVISOR, VAR_DIR=str(tmp_path), PORT=str(port))
    assert_refused_in_one_line(done, f"127.0.0.1:{port} cannot be used: Address already in use")


OWN_PASSWORDS = """
from operators.models import Operator
for operator in Operator.objects.all():
    operator.set_password("quite another one of " + operator.username)
    operator.save()
"""


class TestDemoPasswords:
    """Everybody knows them: they open no service that others can reach."""

    def test_not_on_another_host_than_loopback(self, tmp_path):
        assert_refused_in_one_line(run(*SUPERVISOR, VAR_DIR=str(tmp_path), HOST="0.0.0.0", PORT=str(free_port())), "demo passwords")

    def test_with_passwords_of_their_own_others_need_an_address_that_leads_here(self, tmp_path):
        """The default, http://0.0.0.0:8000, leads nowhere and is without TLS."""
        for command in (("migrate", "-v0"), ("load_demo",), ("shell", "-v0", "-c", OWN_PASSWORDS)):
            assert run("manage.py", *command, VAR_DIR=str(tmp_path)).returncode == 0
        done = run(*SUPERVISOR, VAR_DIR=str(tmp_path), HOST="0.0.0.0", PORT=str(free_port()))
        assert_refused_in_one_line(done, "HOST=0.0.0.0 lets others in: set PUBLIC_URL to the address they use, https://")

    @pytest.mark.parametrize("renamed", [False, True])
    def test_not_in_production(self, tmp_path, renamed):
        file = tmp_path / "embedded" / "webim_offline.sqlite3"
        for command in (("migrate", "-v0"), ("load_demo",)):
            assert run("manage.py", *command, VAR_DIR=str(file.parent)).returncode == 0
        if renamed:
            with closing(sqlite3.connect(file)) as database, database:
                database.execute("UPDATE operators_account SET slug = 'north-tea'")
        for command in (SUPERVISOR, WEB, ("-c", "import webim_offline.wsgi")):
            done = run(*command, VAR_DIR=str(tmp_path), DATABASE_URL=f"sqlite:///{file}", SECRET_KEY=KEY, PORT=str(free_port()))
            assert_refused_in_one_line(done, "a production start refuses that")

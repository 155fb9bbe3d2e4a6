"""Reading settings from environment variables.

Each function reads one kind of value. All of them raise Refused, with one line that says what to write instead, when a value
cannot be understood. The README lists the variables.
"""

import ipaddress
import os
import re
import secrets
import tempfile
import zoneinfo
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from webim_offline.foundation import rates
from webim_offline.foundation.email_addresses import is_address, needs_smtputf8
from webim_offline.foundation.encryption import REDIS_FILES, SSL_MODES, WORD, is_local, postgresql_tls, redis_checks
from webim_offline.foundation.numbers import whole_number
from webim_offline.foundation.secret_strength import SHORTEST, weakness

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
HOW_TO_MAKE_ONE = 'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


class Refused(SystemExit):
    """Raised when a variable cannot be understood, or must not be used as it is.

    It is a SystemExit: when nobody catches it, Python writes its one line to stderr, without a traceback, and exits with 1.
    """


@dataclass(frozen=True)
class MailServer:
    """The SMTP server that letters are sent by, as EMAIL_URL describes it."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    starttls: bool = False
    smtputf8: bool = False  # takes addresses with other than Latin letters before the @ (RFC 6531)


def text(name: str, default: str = "") -> str:
    """Return the value of a variable without surrounding blanks, or `default` if it is empty or not set."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    """Return a yes or no (see TRUE and FALSE for how it may be written)."""
    value = text(name, "1" if default else "0").lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise Refused(f"{name}={value!r}: write 1 or 0.")


def port(name: str, default: int) -> int:
    """Return a TCP port, from 1 to 65535."""
    value = text(name, str(default))
    number = whole_number(value, most=65535)
    if not number:
        raise Refused(f"{name}={value!r}: write a port number from 1 to 65535.")
    return number


def count(name: str, default: int, most: int = 1_000_000) -> int:
    """Return a whole number from 1 to `most`."""
    value = text(name, str(default))
    number = whole_number(value, most=most)
    if not number:
        raise Refused(f"{name}={value[:40]!r}: write a whole number from 1 to {most}.")
    return number


def words(name: str, default: str = "") -> list[str]:
    """Return the entries of a comma-separated list, without empty ones."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def rate_limits(name: str, defaults: dict[str, str]) -> dict[str, str]:
    """Return the rate limits: `defaults`, with those that a comma-separated list such as "visitor_write=60/min" puts in place."""
    limits = dict(defaults)
    for word in words(name):
        limit, _, rate = (part.strip() for part in word.partition("="))
        if limit not in defaults:
            raise Refused(f"{name}: there is no limit {limit[:40]!r}. There are {', '.join(sorted(defaults))}.")
        try:
            rates.parse(rate)
        except ValueError:
            form = f"write a number from 1 to {rates.MOST} and s, min, hour or day, such as 60/min"
            raise Refused(f"{name}: {limit}={rate[:40]!r}: {form}.") from None
        limits[limit] = rate
    return limits


def networks(name: str, default: str = "") -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks of a comma-separated list of IP addresses and networks (such as 192.0.2.0/24)."""
    found = []
    for word in words(name, default):
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise Refused(f"{name}: {word!r} is neither an IP address nor a network.") from None
    return found


def database(url: str, embedded_file: Path) -> dict[str, Any]:
    """Return DATABASES["default"] of Django's settings for a DATABASE_URL. An empty one means SQLite, in `embedded_file`."""
    if not url:
        return sqlite(embedded_file)
    scheme = url.split(":", 1)[0]
    problem = "write postgres://user:password@host:5432/name or sqlite:////path/to/file."
    if scheme not in {"postgres", "postgresql", "sqlite"} or "://" not in url:
        raise Refused(f"DATABASE_URL cannot be read: {problem}")
    try:
        config = dict(environ.Env.db_url_config(url))
        _ = urlsplit(url).port
    except (ValueError, ImproperlyConfigured):
        raise Refused(f"DATABASE_URL cannot be read: {problem}") from None
    if not config.get("NAME"):
        raise Refused(f"DATABASE_URL names no database: {problem}")
    if scheme == "sqlite":
        return sqlite(Path(config["NAME"]))
    given = config.get("OPTIONS", {})
    try:
        tls = postgresql_tls(config["HOST"], given)
    except ValueError as mode:
        raise Refused(f"DATABASE_URL: sslmode={mode} is none of {', '.join(sorted(SSL_MODES))}.") from None
    # connect_timeout: a host that does not answer would otherwise hold a process for two minutes.
    # prepare_threshold: a statement that is run again and again is planned once for a connection. Only those that go through
    # statements.run_together are, because Django puts the values into the text of its own.
    options = {"connect_timeout": 5, "prepare_threshold": 5} | given | tls
    return config | {
        "ENGINE": "webim_offline.foundation.database.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def sqlite(path: Path) -> dict[str, Any]:
    """Return DATABASES["default"] for a file of SQLite, in WAL mode.

    A transaction takes the write lock when it begins, and waits for it. Otherwise it would fail if it first reads and then writes
    while another one has written.
    """
    return {
        "ENGINE": "webim_offline.foundation.database.sqlite",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        # Tests use a file as well: Django's test database in memory locks whole tables, and does not wait for locks.
        "TEST": {"NAME": str(path.with_name("tests.sqlite3"))},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        },
    }


def mail_server(url: str) -> MailServer | None:
    """Return the mail server of an EMAIL_URL, or None if the URL is empty.

    The URL is `smtp://[user:password@]host[:port]` or `smtps://...`, and may end in `?starttls=1`. A password is only sent to
    another machine by TLS, unless the URL has `?plaintext=1`. `?smtputf8=1` says that the server has SMTPUTF8.
    """
    if not url:
        return None
    problem = "EMAIL_URL cannot be read: write smtp://[user:password@]host[:port], smtps://..., or add ?starttls=1."
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise Refused(problem) from None
    query = parse_qs(parts.query, keep_blank_values=True)
    known = set(query) <= {"starttls", "smtputf8", WORD}
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"} or not known:
        raise Refused(problem)
    starttls = query.get("starttls", ["0"])[0].lower()
    smtputf8 = query.get("smtputf8", ["0"])[0].lower()
    if not {starttls, smtputf8} <= TRUE | FALSE or (given_port is not None and not 1 <= given_port <= 65535):
        raise Refused(problem)
    encrypted = parts.scheme == "smtps" or starttls in TRUE
    if (parts.username or parts.password) and not (encrypted or is_local(parts.hostname) or _says_plaintext("EMAIL_URL", query)):
        raise Refused(
            "EMAIL_URL sends a password to another machine without TLS: write smtps://, add ?starttls=1, "
            f"or ?{WORD}=1 if everyone on the way may read it."
        )
    return MailServer(
        host=parts.hostname,
        port=given_port or (465 if parts.scheme == "smtps" else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "smtps",
        starttls=starttls in TRUE,
        smtputf8=smtputf8 in TRUE,
    )


def redis_url(name: str) -> str:
    """Return the URL of a Redis (`redis://` or `rediss://`), or an empty string if the variable is not set.

    For another machine it must be `rediss://` (TLS), unless it has `?plaintext=1`: whoever can write to our Redis can send hints,
    and can reset rate limits. `rediss://` may name files: `ssl_ca_certs` (a certificate authority beside those of the system),
    and `ssl_certfile` and `ssl_keyfile` (a certificate of our own). It is returned with the options that make all clients check
    the certificate of the server.
    """
    url = text(name)
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        _ = parts.port
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise Refused(f"{name} cannot be read: write redis://host:6379/0.") from None
    secure = parts.scheme == "rediss"
    known = set(query) <= {WORD, *(REDIS_FILES if secure else ())} and not parts.fragment
    good = parts.scheme in {"redis", "rediss"} and parts.hostname and re.fullmatch(r"/?[0-9]*", parts.path)
    if not good or not known:
        raise Refused(f"{name} cannot be read: write redis://host:6379/0, or rediss://host:6379/0?ssl_ca_certs=/path.")
    if not secure:
        if not is_local(parts.hostname or "") and not _says_plaintext(name, query):
            raise Refused(
                f"{name} leads to another machine without TLS: write rediss://, "
                f"or add ?{WORD}=1 if everyone on the way may read and change it."
            )
        return parts._replace(query="").geturl()
    files = {key: query[key][0] for key in REDIS_FILES if key in query}
    try:
        checks = redis_checks(files)
    except OSError as error:
        raise Refused(f"{name}: {' or '.join(files.values())} cannot be read as certificates: {error.strerror or error}.") from None
    return parts._replace(query=checks).geturl()


def _says_plaintext(name: str, query: dict[str, list[str]]) -> bool:
    """Return whether a URL itself says (by `?plaintext=1`) that it is to be used without TLS."""
    said = query.get(WORD, ["0"])[0].lower()
    if said not in TRUE | FALSE:
        raise Refused(f"{name}: write {WORD}=1 or leave it out.")
    return said in TRUE


def public_url(default: str) -> str:
    """Return PUBLIC_URL without a trailing slash. Links in letters are built from it (X6).

    If it is `http://` and another machine than this one, it must have `?plaintext=1`, because passwords and conversations can
    then be read by everyone on the way. `default` is not checked for that; `startup` does it.
    """
    url = text("PUBLIC_URL", default)
    try:
        parts = urlsplit(url)
        _ = parts.port
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise Refused(f"PUBLIC_URL={url!r} cannot be read: write https://chat.example.com.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or set(query) - {WORD} or parts.fragment:
        raise Refused(f"PUBLIC_URL={url!r} cannot be read: write https://chat.example.com.")
    plain = parts.scheme == "http" and not is_local(parts.hostname)
    if not _says_plaintext("PUBLIC_URL", query) and plain and text("PUBLIC_URL"):
        raise Refused(
            f"PUBLIC_URL={url!r} is without TLS: write https://, or add ?{WORD}=1 if everyone on the way may read "
            "passwords and conversations."
        )
    return parts._replace(query="").geturl().rstrip("/")


def default_sender(url: str) -> str:
    """Return `noreply@` and the host of PUBLIC_URL, or localhost instead of a host that is an IP address."""
    host = urlsplit(url).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"noreply@{host}"
    return "noreply@localhost"


def sender(name: str, default: str) -> str:
    """Return the address that letters come from, such as `noreply@example.com` or `Example <noreply@example.com>`."""
    value = text(name)
    if not value:
        return default
    address = parseaddr(value)[1]
    # Every mail server must be able to answer, so the part before the @ is plain.
    if not (value.isprintable() and is_address(address, here=True)) or needs_smtputf8(address):
        raise Refused(f"{name}={value!r} is not an e-mail address.")
    return value


def time_zone(name: str, default: str = "UTC") -> str:
    """Return a name from the time zone database, such as Europe/Moscow."""
    value = text(name, default)
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"{name}={value!r} is no time zone: write UTC or Europe/Moscow.") from None
    return value


def secret(name: str, *, embedded: bool, folder: Path, strong: bool) -> str:
    """Return a secret from the environment.

    If it is not set, the embedded mode (SQLite) makes one and keeps it in a file in `folder`; a production start is refused. With
    `strong`, which is for a service that other machines can reach, a weak secret is refused.
    """
    if value := text(name):
        if strong and (fault := weakness(value)):
            raise Refused(f"{name} {fault}: make one with {HOW_TO_MAKE_ONE}")
        return value
    if not embedded:
        raise Refused(f"{name} is not set: a production start needs a long random one: {HOW_TO_MAKE_ONE}")
    path = folder / name.lower()
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _create_once(path, secrets.token_urlsafe(48))
        value = path.read_text().strip()
    except OSError as error:
        raise Refused(f"{folder} cannot be used: {error.strerror}.") from None
    if len(value) < SHORTEST:
        raise Refused(f"The key in {path} was cut short: remove the file, and a new one is made.")
    return value


def _create_once(path: Path, content: str) -> None:
    """Create a file with this content, unless it exists already.

    Several processes may do this at the same time: the content of the first one stays, and nobody reads half of it.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # only we can read it
    draft = Path(name)
    with open(handle, "w") as file:
        file.write(content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()

"""What the process is told by its environment, read once and refused in one clear line when it makes no sense."""

import ipaddress
import os
import re
import secrets
import tempfile
import zoneinfo
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from webim_offline.email_addresses import is_address
from webim_offline.encryption import REDIS_FILES, SSL_MODES, WORD, is_local, postgresql_tls, redis_checks
from webim_offline.numbers import whole_number
from webim_offline.secret_strength import SHORTEST, weakness

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
HOW_TO_MAKE_ONE = 'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


class Refused(SystemExit):
    """The environment makes no sense. Uncaught, it ends any process with its one line on stderr and exit code 1."""


@dataclass(frozen=True)
class MailServer:
    """Where letters go: one SMTP server, from EMAIL_URL."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    starttls: bool = False


def text(name: str, default: str = "") -> str:
    """The variable's value without surrounding blanks; `default` when unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    """A yes or no; anything else is refused."""
    value = text(name, "1" if default else "0").lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise Refused(f"{name}={value!r}: write 1 or 0.")


def port(name: str, default: int) -> int:
    """A TCP port, 1 to 65535."""
    value = text(name, str(default))
    number = whole_number(value, most=65535)
    if not number:
        raise Refused(f"{name}={value!r}: write a port number from 1 to 65535.")
    return number


def count(name: str, default: int, most: int = 1_000_000) -> int:
    """A whole number from 1 to `most`."""
    value = text(name, str(default))
    number = whole_number(value, most=most)
    if not number:
        raise Refused(f"{name}={value[:40]!r}: write a whole number from 1 to {most}.")
    return number


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list without empty entries."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def networks(name: str, default: str = "") -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Comma-separated addresses or networks (192.0.2.0/24)."""
    found = []
    for word in words(name, default):
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise Refused(f"{name}: {word!r} is neither an IP address nor a network.") from None
    return found


def database(url: str, embedded_file: Path) -> dict:
    """Django's DATABASES["default"] for a DATABASE_URL; an empty one means the embedded SQLite file (WAL mode)."""
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
    # a database host that swallows packets must not hold a process for libpq's two minutes
    # what comes again and again is planned once a connection; of ours only what goes through statements.run_together
    options = {"connect_timeout": 5, "prepare_threshold": 5} | given | tls
    return config | {"ENGINE": "webim_offline.postgresql", "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}


def sqlite(path: Path) -> dict:
    """SQLite as the embedded mode needs it: writers queue for the lock instead of failing in the middle."""
    return {
        "ENGINE": "webim_offline.sqlite",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        # a file like the real one: Django's in-memory test database locks whole tables and does not wait for them
        "TEST": {"NAME": str(path.with_name("tests.sqlite3"))},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        },
    }


def mail_server(url: str) -> MailServer | None:
    """The mail server of `smtp://[user:password@]host[:port]`, `smtps://`, or with `?starttls=1`; None for no URL.

    A password goes to another machine by TLS alone, unless `?plaintext=1` says otherwise.
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
    known = set(query) <= {"starttls", WORD}
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"} or not known:
        raise Refused(problem)
    starttls = query.get("starttls", ["0"])[0].lower()
    if starttls not in TRUE | FALSE or (given_port is not None and not 1 <= given_port <= 65535):
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
    )


def redis_url(name: str) -> str:
    """A redis:// or rediss:// address, or nothing; rediss:// comes back with all that makes every client check certificates.

    To another machine it is rediss://, unless `?plaintext=1` says otherwise: who can write there can ring our bells and
    forget our limits. `?ssl_ca_certs=/path` names an authority beside the system's, ssl_certfile and ssl_keyfile ourselves.
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
    """Does an address say itself that it is to be used without TLS?"""
    said = query.get(WORD, ["0"])[0].lower()
    if said not in TRUE | FALSE:
        raise Refused(f"{name}: write {WORD}=1 or leave it out.")
    return said in TRUE


def public_url(default: str) -> str:
    """PUBLIC_URL without a trailing slash: links in letters are built from it (X6).

    http:// to another machine than this one says `?plaintext=1`: passwords and conversations can then be read on the way.
    A default is not judged here, `startup` does that.
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
    """`noreply@` and the host of PUBLIC_URL; localhost where that host is an IP address."""
    host = urlsplit(url).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"noreply@{host}"
    return "noreply@localhost"


def sender(name: str, default: str) -> str:
    """An address letters come from: noreply@example.com or Example <noreply@example.com>."""
    value = text(name)
    if not value:
        return default
    if not (value.isprintable() and is_address(parseaddr(value)[1], here=True)):
        raise Refused(f"{name}={value!r} is not an e-mail address.")
    return value


def time_zone(name: str, default: str = "UTC") -> str:
    """A name from the time zone database, such as Europe/Moscow."""
    value = text(name, default)
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"{name}={value!r} is no time zone: write UTC or Europe/Moscow.") from None
    return value


def secret(name: str, *, embedded: bool, folder: Path, strong: bool) -> str:
    """A secret from the environment; the embedded mode makes its own once and keeps it in `folder`.

    A given one must be `strong` where others than this machine's people may come.
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
    """Several processes may start at once: the first one's content stays, and nobody reads half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # readable by us alone
    draft = Path(name)
    with open(handle, "w") as file:
        file.write(content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()

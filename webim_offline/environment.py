"""What the process is told by its environment, read once and refused in one clear line when it makes no sense."""

import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


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
    raise ImproperlyConfigured(f"{name}={value!r}: write 1 or 0.")


def port(name: str, default: int) -> int:
    """A TCP port, 1 to 65535."""
    value = text(name, str(default))
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ImproperlyConfigured(f"{name}={value!r}: write a port number from 1 to 65535.")
    return int(value)


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
            raise ImproperlyConfigured(f"{name}: {word!r} is neither an IP address nor a network.") from None
    return found


def database(url: str, embedded_file: Path) -> dict:
    """Django's DATABASES["default"] for a DATABASE_URL; an empty one means the embedded SQLite file (WAL mode)."""
    if not url:
        return sqlite(embedded_file)
    scheme = url.split(":", 1)[0]
    problem = "write postgres://user:password@host:5432/name or sqlite:////path/to/file."
    if scheme not in {"postgres", "postgresql", "sqlite"} or "://" not in url:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {problem}")
    try:
        config = dict(environ.Env.db_url_config(url))
        _ = urlsplit(url).port
    except (ValueError, ImproperlyConfigured):
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {problem}") from None
    if not config.get("NAME"):
        raise ImproperlyConfigured(f"DATABASE_URL names no database: {problem}")
    if scheme == "sqlite":
        return sqlite(Path(config["NAME"]))
    return config | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}


def sqlite(path: Path) -> dict:
    """SQLite as the embedded mode needs it: writers queue for the lock instead of failing in the middle."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        },
    }


def mail_server(url: str) -> MailServer | None:
    """The mail server of `smtp://[user:password@]host[:port]`, `smtps://`, or with `?starttls=1`; None for no URL."""
    if not url:
        return None
    problem = "EMAIL_URL cannot be read: write smtp://[user:password@]host[:port], smtps://..., or add ?starttls=1."
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise ImproperlyConfigured(problem) from None
    query = parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"} or set(query) - {"starttls"}:
        raise ImproperlyConfigured(problem)
    starttls = query.get("starttls", ["0"])[0].lower()
    if starttls not in TRUE | FALSE or (given_port is not None and not 1 <= given_port <= 65535):
        raise ImproperlyConfigured(problem)
    return MailServer(
        host=parts.hostname,
        port=given_port or (465 if parts.scheme == "smtps" else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "smtps",
        starttls=starttls in TRUE,
    )


def redis_url(name: str) -> str:
    """A redis:// or rediss:// address, or nothing."""
    url = text(name)
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise ImproperlyConfigured(f"{name} cannot be read: write redis://host:6379/0.")
    return url


def public_url(default: str) -> str:
    """PUBLIC_URL without a trailing slash: links in letters are built from it (X6)."""
    url = text("PUBLIC_URL", default)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"PUBLIC_URL={url!r} cannot be read: write https://chat.example.com.")
    return url.rstrip("/")


def default_sender(url: str) -> str:
    """`noreply@` and the host of PUBLIC_URL; localhost where that host is an IP address."""
    host = urlsplit(url).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"noreply@{host}"
    return "noreply@localhost"


def secret(name: str, *, embedded: bool, folder: Path) -> str:
    """A secret from the environment; the embedded mode makes its own once and keeps it in `folder`."""
    if value := text(name):
        return value
    if not embedded:
        raise ImproperlyConfigured(f"{name} is not set: a production start needs a long random one.")
    path = folder / name.lower()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text().strip()

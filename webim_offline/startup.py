"""What stands before any process of the service starts; each refusal is one line (interfaces.md, "Commands")."""

import fcntl
import io
import ipaddress
import logging
import os
import shutil
import socket
from pathlib import Path
from typing import IO, Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
django.setup()

from django.conf import settings  # noqa: E402 - the models below need Django set up
from django.core.management import CommandError, call_command  # noqa: E402
from django.db import DatabaseError, connection  # noqa: E402

from dialogs.actions.pulse import forget_beats  # noqa: E402
from operators.demo import LOGINS, demo_password, demo_passwords_stand  # noqa: E402
from operators.models import Account  # noqa: E402
from webim_offline import catalogues  # noqa: E402
from webim_offline.foundation import environment, private_files  # noqa: E402
from webim_offline.foundation.encryption import is_local  # noqa: E402
from webim_offline.foundation.environment import Refused  # noqa: E402

logger = logging.getLogger(__name__)

IN_PRODUCTION = "The demo logins in this database still have their demo passwords: a production start refuses that."


def claim() -> IO[str]:
    """One supervisor a folder, or two would share a broker and one port for hints. Keep the returned file open: it is our claim."""
    folder = Path(settings.VAR_DIR)
    warning = private_files.close_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not settings.STATIC_ROOT.exists():
            settings.STATIC_ROOT.mkdir()
            settings.STATIC_ROOT.chmod(0o755)  # as collectstatic would
        file = (folder / "supervisor.lock").open("w")
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refused(f"The service is running on {folder} already.") from None
    private_files.close_files(folder, *_database_files())
    if warning:
        logger.warning(warning)
    return file


def _database_files() -> list[Path]:
    """The embedded database's files, wherever DATABASE_URL may have put it; others may not exist."""
    if connection.vendor != "sqlite":
        return []
    return [Path(f"{connection.settings_dict['NAME']}{end}") for end in ("", "-wal", "-shm")]


def prepare() -> str:
    """Bring port, catalogues, broker and database in order, refuse what must not run; returns what to say when all is well."""
    addresses = _addresses()
    for family, address in addresses:
        _try_port(family, address)
    try:
        catalogues.compile_changed()
    except OSError as error:
        raise Refused(f"{error.filename} cannot be written: {error.strerror}.") from None
    try:
        call_command("collectstatic", verbosity=0, interactive=False)  # compresses what has changed
    except OSError as error:
        raise Refused(f"{error.filename} cannot be written: {error.strerror}.") from None
    # messages of an earlier run are stale: whatever they meant is a row that is still due
    shutil.rmtree(settings.BROKER_DIR, ignore_errors=True)
    try:
        call_command("migrate", verbosity=0, interactive=False)
        if settings.EMBEDDED:
            forget_beats()
            if not Account.objects.exists():
                call_command("load_demo", stdout=io.StringIO())
        open_to_all = demo_passwords_stand()
    except DatabaseError as error:
        raise Refused(_unusable(error)) from None
    except CommandError as error:
        raise Refused(f"The demo account cannot be loaded: {error}") from None
    finally:
        connection.close()
    if open_to_all:
        _refuse_to_open(addresses)
    _refuse_an_unknown_way_in()
    return _greeting(with_logins=open_to_all)


def refuse_demo_passwords() -> None:
    """End a production server (DATABASE_URL is set) that anybody could sign in to. The embedded one is judged by its HOST."""
    if settings.EMBEDDED:
        return
    try:
        if demo_passwords_stand():
            raise Refused(IN_PRODUCTION)
    except DatabaseError as error:
        if _is_about_tls(error):  # it will not pass, as an outage does
            raise Refused(_unusable(error)) from None
        # no database, no signing in; later the login itself refuses them (`demo.is_shut_out`), and /healthz tells
    finally:
        connection.close()


def _refuse_to_open(addresses: list[tuple[int, tuple[Any, ...]]]) -> None:
    if not settings.EMBEDDED:
        raise Refused(IN_PRODUCTION)
    if not all(ipaddress.ip_address(address[0].partition("%")[0]).is_loopback for _, address in addresses):
        raise Refused(
            f"HOST={settings.HOST}: the demo logins still have their demo passwords, known to everyone. "
            "Change them first, or stay on 127.0.0.1."
        )


def _refuse_an_unknown_way_in() -> None:
    """Others may reach us, and nobody has said by which address: the default leads nowhere, and is without TLS."""
    if not environment.text("PUBLIC_URL") and not is_local(settings.PUBLIC_HOST):
        raise Refused(
            f"HOST={settings.HOST} lets others in: set PUBLIC_URL to the address they use, https://chat.example.com behind a "
            f"TLS proxy, or http://<this machine's address>:{settings.PORT}?plaintext=1 in a network you trust."
        )


def _unusable(error: DatabaseError) -> str:
    line = f"The database cannot be used: {' '.join(str(error).split())}"
    if _is_about_tls(error):
        line += " (Another machine's PostgreSQL must speak TLS, with a certificate for its name: see sslmode in docs/deploy.md.)"
    return line


def _is_about_tls(error: DatabaseError) -> bool:
    """Did libpq refuse the server for want of TLS, or of a certificate for its name that we believe?"""
    return any(words in str(error) for words in ("SSL was required", "certificate", "does not match host name"))


def _greeting(*, with_logins: bool) -> str:
    pages = {"workspace": "/workspace/", "admin": "/admin/", "demo site": "/demo/"}
    lines = ["The service is healthy.", *(f"  {name:<10} {settings.PUBLIC_URL}{path}" for name, path in pages.items())]
    if with_logins:
        lines += ["Demo logins and passwords:", *(f"  {login:<10} {demo_password(login)}" for login in LOGINS)]
    return "\n".join(lines)


def _addresses() -> list[tuple[int, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(settings.HOST, settings.PORT, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Refused(f"HOST={settings.HOST!r} is no address of this machine: {error.strerror}.") from None
    return [(family, address) for family, _, _, _, address in found]


def _try_port(family: int, address: tuple[Any, ...]) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise Refused(f"{settings.HOST}:{settings.PORT} cannot be used: {error.strerror}.") from None

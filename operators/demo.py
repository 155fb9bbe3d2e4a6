"""The demo account (interfaces.md): what it is made of, and whether its well-known passwords still open anything."""

import ipaddress
import socket
from functools import cache

from django.conf import settings
from django.contrib.auth.hashers import check_password

from operators.logins import login_key
from operators.models import Operator

SLUG = "demo"
NAME = "North Tea"
LEFT_MESSAGES_EMAIL = "left@demo.example"
LANGUAGES = ("en", "ru")
DEPARTMENTS = {"support": "Support", "sales": "Sales"}
LOGINS = ("anna", "boris", "vera", "help")


def demo_password(login: str) -> str:
    """The password that `load_demo` gives a demo login."""
    return f"{login}-demo"


def demo_passwords_stand() -> bool:
    """Has an active person with a demo login its demo password, whatever the account is called by now? One query."""
    people = Operator.objects.filter(username__in=LOGINS, is_active=True).values_list("username", "password")
    return any(check_password(demo_password(login), encoded) for login, encoded in people)


def is_shut_out(login: str, password: str) -> bool:
    """Is this a demo password, where such passwords open nothing: in production, and where others than this machine may come?

    Asked at each sign-in, before anything is hashed: what the start looked at may be otherwise by now, or was not there to look at.
    """
    return password.casefold() == demo_password(login_key(login)) and not (settings.EMBEDDED and _is_loopback(settings.HOST))


@cache
def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)

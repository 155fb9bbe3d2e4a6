"""Finding out from which address a request comes.

Only TRUSTED_PROXIES (a setting) may say in X-Forwarded-For that they forward somebody else's request. Each proxy appends the
address it was called from, as a further entry or as a further header line. All lines are read as one list, from its end, for as
long as the address that has added an entry is a trusted proxy. Whatever a client has written into the header itself is further to
the front, and is never reached.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# The headers of proxies. A request with any of them was forwarded, or pretends to be.
FORWARDING = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via")
_FORWARDING_RAW = frozenset(name.encode() for name in FORWARDING)
_FORWARDING_META = tuple("HTTP_" + name.upper().replace("-", "_") for name in FORWARDING)
# A key of a WSGI environ: True if `wsgi_proxies` has removed a header that told of forwarding.
WAS_FORWARDED = "webim_offline.was_forwarded"
# A key of a WSGI environ: True if its server takes X_Forwarded_For for X-Forwarded-For.
NAMES_ARE_MERGED = "webim_offline.names_are_merged"


@dataclass(frozen=True)
class Client:
    """The sender of a request, as far as it is known.

    `address` is the sender's address, or None if the server does not know one (a request by a unix socket).

    `is_sure` is False if somebody who is not trusted says that the request was forwarded, or if a trusted proxy does not say for
    whom. Limits still count by `address` then, but nobody has rights because of it.
    """

    address: Address | None
    is_sure: bool

    @cached_property
    def network(self) -> str:
        """What limits count by: an IPv4 address, or the /64 network of an IPv6 address, which one customer has alone.

        It is "unknown" if there is no address.
        """
        if self.address is None:
            return "unknown"
        if self.address.version == 6:
            return str(ipaddress.ip_network((self.address, 64), strict=False))
        return str(self.address)

    def is_within(self, networks: Collection[Network]) -> bool:
        """Return whether the sender surely is in one of these networks, and has the rights that they have."""
        return self.is_sure and self.address is not None and any(self.address in network for network in networks)


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_proxy(address: Address | None) -> bool:
    """Return whether `address` is that of a trusted proxy, which may say whose request it forwards."""
    return address is not None and any(address in network for network in settings.TRUSTED_PROXIES)


def is_proxy_at(peer: str) -> bool:
    """Return the same as `is_proxy` for an address as text, as servers give it."""
    return is_proxy(_address(peer))


def judge(peer: str, told: str | None, *, was_forwarded: bool) -> Client:
    """Return the sender of a request.

    `peer` is the address of the connection. `told` are all lines of X-Forwarded-For joined by commas, or None if there is none.
    `was_forwarded` says whether any header of FORWARDING was there.
    """
    client = _address(peer)
    if told is None or not is_proxy(client):
        return Client(client, is_sure=not was_forwarded)
    hops = told.split(",")
    while is_proxy(client) and hops:
        hop = _address(hops.pop())
        if hop is None:
            return Client(client, is_sure=False)
        client = hop
    return Client(client, is_sure=True)


def client_of(request: HttpRequest) -> Client:
    """Return the sender of a request to Django."""
    meta = request.META
    was_forwarded = WAS_FORWARDED in meta or any(name in meta for name in _FORWARDING_META)
    client = judge(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR"), was_forwarded=was_forwarded)
    if was_forwarded and meta.get(NAMES_ARE_MERGED):
        return Client(client.address, is_sure=False)
    return client


def client_of_scope(scope: dict[str, Any]) -> Client:
    """Return the sender of an ASGI scope's request or WebSocket.

    In a scope the names of headers are as the client has sent them, so X_Forwarded_For is not taken for X-Forwarded-For.
    """
    told, was_forwarded = None, False
    for name, value in scope["headers"]:
        if name in _FORWARDING_RAW:
            was_forwarded = True
            if name == b"x-forwarded-for":
                line = value.decode("latin-1")
                told = line if told is None else f"{told},{line}"
    peer = scope.get("client")
    return judge(peer[0] if peer else "", told, was_forwarded=was_forwarded)


def client_network(request: HttpRequest) -> str:
    """Return what rate limits count requests of this sender by (see `Client.network`)."""
    return client_of(request).network

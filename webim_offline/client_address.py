"""Where a request comes from. Only TRUSTED_PROXIES may say so in X-Forwarded-For (interfaces.md).

Each proxy appends the peer it saw, as one more entry or one more line: all lines are read as one list, in order, and from its
right end as long as the teller is trusted. What a client claims itself stands further left and never counts.
"""

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Lines = Iterable[tuple[bytes, bytes]]

# a request with any of these did not come straight from its peer
FORWARDING = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via")
_FORWARDING_RAW = frozenset(name.encode() for name in FORWARDING)
_FORWARDING_META = tuple("HTTP_" + name.upper().replace("-", "_") for name in FORWARDING)
# of an environ: True when a header was taken out of it that told of forwarding (`proxy_words`)
WAS_FORWARDED = "webim_offline.was_forwarded"
# of an environ: True when its server does not tell X_Forwarded_For from X-Forwarded-For
NAMES_ARE_MERGED = "webim_offline.names_are_merged"


@dataclass(frozen=True)
class Client:
    """Who asks, as far as it is known.

    `address` is what limits count by; None when the server knows none (a unix socket). Unless `is_sure`, somebody who is not
    trusted says that the request was forwarded, or a trusted proxy does not say for whom: then nobody has rights by address.
    """

    address: Address | None
    is_sure: bool

    @cached_property
    def network(self) -> str:
        """What limits count by: the IPv4 address, or the /64 that one IPv6 customer has to itself."""
        if self.address is None:
            return "unknown"
        if self.address.version == 6:
            return str(ipaddress.ip_network((self.address, 64), strict=False))
        return str(self.address)

    def is_within(self, networks: Collection[Network]) -> bool:
        """Does it have the rights of these networks?"""
        return self.is_sure and self.address is not None and any(self.address in network for network in networks)


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_proxy(address: Address | None) -> bool:
    """May this peer say for whom it asks?"""
    return address is not None and any(address in network for network in settings.TRUSTED_PROXIES)


def is_proxy_at(peer: str) -> bool:
    """The same for a peer's address as a server writes it."""
    return is_proxy(_address(peer))


def judge(peer: str, told: str | None, *, was_forwarded: bool) -> Client:
    """Who asks: `peer` is the address of the connection, `told` all lines of X-Forwarded-For joined by commas.

    `was_forwarded`: some header, X-Forwarded-For or another, says that the peer asks for somebody else.
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
    """Who sent a request to Django."""
    meta = request.META
    was_forwarded = WAS_FORWARDED in meta or any(name in meta for name in _FORWARDING_META)
    client = judge(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR"), was_forwarded=was_forwarded)
    if was_forwarded and meta.get(NAMES_ARE_MERGED):
        return Client(client.address, is_sure=False)
    return client


def client_of_scope(scope: dict[str, Any]) -> Client:
    """Who sent a request or opens a WebSocket, by its ASGI scope. Names are compared as they came: `_` is no `-`."""
    told, was_forwarded = None, False
    for name, value in scope["headers"]:
        if name in _FORWARDING_RAW:
            was_forwarded = True
            if name == b"x-forwarded-for":
                line = value.decode("latin-1")
                told = line if told is None else f"{told},{line}"
    peer = scope.get("client")
    return judge(peer[0] if peer else "", told, was_forwarded=was_forwarded)


def client_address(request: HttpRequest) -> Address | None:
    """The address that limits count by; None when the server does not know one (a unix socket)."""
    return client_of(request).address


def client_network(request: HttpRequest) -> str:
    """What rate limits count by: the IPv4 address, or the /64 that one IPv6 customer has to itself."""
    return client_of(request).network

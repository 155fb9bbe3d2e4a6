"""Where a request comes from. Only TRUSTED_PROXIES may say so in X-Forwarded-For (interfaces.md)."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_proxy(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def client_address(request: HttpRequest) -> Address | None:
    """The address of the client; None when the server does not know one (a unix socket)."""
    client = _address(request.META.get("REMOTE_ADDR", ""))
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    # each proxy appends the peer it saw: read from the right as long as the teller is trusted
    while client is not None and _is_proxy(client) and hops:
        told = _address(hops.pop())
        if told is None:
            break
        client = told
    return client


def client_network(request: HttpRequest) -> str:
    """What rate limits count by: the IPv4 address, or the /64 that one IPv6 customer has to itself."""
    client = client_address(request)
    if client is None:
        return "unknown"
    return str(ipaddress.ip_network((client, 64), strict=False)) if client.version == 6 else str(client)

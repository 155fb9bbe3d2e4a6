"""Where a request comes from (TRUSTED_PROXIES): what a client says of itself gives it no rights and no other limits."""

from ipaddress import ip_network

import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from webim_offline.foundation.http.client_address import client_of, client_of_scope, judge
from webim_offline.foundation.http.pages import environ_of, known_names
from webim_offline.foundation.http.wsgi_proxies import trusting_proxies_alone

PROXY, CLIENT = "127.0.0.1", "203.0.113.9"


@pytest.fixture
def behind_a_proxy(settings):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8")]


def scope_of(*lines: tuple[str, str], peer: str = PROXY, **more) -> dict:
    """A GET as an ASGI server tells of it."""
    scope = {"type": "http", "method": "GET", "http_version": "1.1", "scheme": "http", "path": "/metrics", "query_string": b""}
    headers = [(name.lower().encode(), value.encode()) for name, value in (("Host", "127.0.0.1"), *lines)]
    return scope | {"client": (peer, 4711), "server": ("127.0.0.1", 8000), "headers": headers} | more


def request_of(*lines: tuple[str, str], peer: str = PROXY):
    """The same as Django gets it."""
    found = []
    environ = environ_of(known_names(scope_of(*lines, peer=peer)), b"")
    trusting_proxies_alone(lambda environ, start: found.append(environ) or [])(environ, print)
    return RequestFactory().get("/metrics", **{"HTTP_HOST": "", **found[0]})


@pytest.mark.usefixtures("behind_a_proxy")
@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([("X-Forwarded-For", CLIENT)], CLIENT),
        ([("X-Forwarded-For", CLIENT), ("X_Forwarded_For", PROXY)], CLIENT),
        ([("X_Forwarded_For", PROXY), ("X-Forwarded-For", CLIENT)], CLIENT),
        ([("x_forwarded-for", PROXY), ("X-Forwarded-For", CLIENT)], CLIENT),
        ([("X-Forwarded-For", PROXY), ("X-Forwarded-For", CLIENT)], CLIENT),
        ([("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", f"{CLIENT}, 10.1.2.3")], CLIENT),
        ([("X-Forwarded-For", f"{PROXY}, {CLIENT}")], CLIENT),
        ([("X-Forwarded-For", PROXY)], PROXY),
        ([], PROXY),
    ],
)
def test_the_nearest_proxys_word_counts_however_the_client_dresses_its_own(lines, address):
    for client in (client_of(request_of(*lines)), client_of_scope(scope_of(*lines))):
        assert (str(client.address), client.is_sure) == (address, True)
        assert client.is_within([ip_network(f"{address}/32")])


@pytest.mark.usefixtures("behind_a_proxy")
@pytest.mark.parametrize(
    "lines",
    [
        [("X-Forwarded-For", "unknown")],
        [("X-Forwarded-For", "")],
        [("X-Forwarded-For", f"{CLIENT}, unknown")],
        [("X-Forwarded-Proto", "https")],
        [("Forwarded", f"for={CLIENT}")],
        [("X-Real-IP", CLIENT)],
    ],
)
def test_a_trusted_proxy_that_does_not_say_for_whom_it_asks_has_no_rights_by_its_own_address(lines):
    for client in (client_of(request_of(*lines)), client_of_scope(scope_of(*lines))):
        assert (str(client.address), client.is_sure) == (PROXY, False)
        assert not client.is_within(settings.METRICS_ALLOW)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via"])
def test_whoever_says_without_trust_that_a_request_was_forwarded_has_no_rights_by_address(name):
    for client in (client_of(request_of((name, PROXY))), client_of_scope(scope_of((name, PROXY)))):
        assert (str(client.address), client.is_sure) == (PROXY, False), "limits count the peer itself"


@pytest.mark.django_db
def test_pages_for_some_addresses_are_closed_to_who_says_that_it_was_forwarded(client):
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"X-Forwarded-For": PROXY}).status_code == 403
    assert set(client.get("/healthz", headers={"X-Forwarded-For": PROXY}).json()) == {"ok"}


@pytest.mark.django_db
@pytest.mark.usefixtures("behind_a_proxy")
def test_a_server_that_merges_names_gives_nobody_rights_by_a_told_address(monkeypatch):
    """granian's WSGI interface: the last of X-Forwarded-For and X_Forwarded_For is all that is left."""
    asked = []
    judged = trusting_proxies_alone(lambda environ, start: asked.append(environ) or [])
    for server in ("Granian", "another"):
        judged({"SERVER_SOFTWARE": server, "REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": PROXY}, print)
        judged({"SERVER_SOFTWARE": server, "REMOTE_ADDR": PROXY}, print)
    statuses = [Client().get("/metrics", **environ).status_code for environ in asked]
    assert statuses == [403, 200, 200, 200]


@pytest.mark.usefixtures("behind_a_proxy")
@pytest.mark.parametrize(
    ("peer", "lines", "is_secure"),
    [
        (PROXY, ["https"], True),
        (PROXY, ["http"], False),
        (PROXY, ["https", "http"], False),
        (PROXY, ["http", "https"], True),
        (CLIENT, ["https"], False),
        (PROXY, [], False),
    ],
)
def test_x_forwarded_proto_counts_from_trusted_peers_and_of_several_lines_the_nearest(settings, peer, lines, is_secure):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for spelling in (("X-Forwarded-Proto", "https"),), ():
        extra = [("X_Forwarded_Proto", value) for _, value in spelling]
        request = request_of(*[("X-Forwarded-Proto", line) for line in lines], *extra, peer=peer)
        assert request.is_secure() is is_secure


def test_an_ipv6_customer_is_one_network_and_a_unix_socket_is_nobody():
    assert judge("2001:db8:1:2:3::4", None, was_forwarded=False).network == "2001:db8:1:2::/64"
    assert judge("::ffff:203.0.113.9", None, was_forwarded=False).network == CLIENT
    nobody = judge("", None, was_forwarded=False)
    assert nobody.network == "unknown"
    assert not nobody.is_within(settings.METRICS_ALLOW)

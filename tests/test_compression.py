"""Pages and answers of the API are compressed for whoever understands that; what they say is the same."""

import gzip
import json

import pytest

from tests import people

PAGES = ["/workspace/", "/workspace/panel/", "/workspace/archive/", "/workspace/team/", "/admin/operators/account/"]


@pytest.fixture
def vera_client(client, vera):
    for number in range(30):
        people.start_dialog(vera.account, name=f"Visitor {number}", text="Where is my order? It was to come on Tuesday.")
    client.force_login(vera)
    return client


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_small_on_the_wire_and_says_the_same(vera_client, address):
    plain = vera_client.get(address)
    packed = vera_client.get(address, headers={"Accept-Encoding": "br, gzip"})
    assert plain.status_code == packed.status_code == 200
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == len(packed.content) < len(plain.content) / 2
    assert len(gzip.decompress(packed.content)) == pytest.approx(len(plain.content), abs=200)  # tokens and ages differ
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]


def test_lengths_vary_so_that_they_tell_nothing(client, db):
    """BREACH: what stands beside somebody's words cannot be guessed by how well both are compressed together."""
    answers = [client.get("/healthz/nothing/", headers={"Accept-Encoding": "gzip"}) for _ in range(20)]
    assert {answer.headers["Content-Encoding"] for answer in answers} == {"gzip"}
    assert len({len(answer.content) for answer in answers}) > 5


def test_the_visitor_api_is_compressed(client, account):
    place = {"account": account.slug, "token": "", "visit": "v" * 22, "department": "support", "language": "en"}
    body = json.dumps(place | {"page": {"url": "https://shop.example/tea", "title": "Tea"}})
    answer = client.post("/widget/api/session", body, content_type="text/plain", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.content))["ticket"]


def test_what_is_short_is_not_compressed(client, db):
    answer = client.get("/metrics", headers={"Accept-Encoding": "gzip"}, REMOTE_ADDR="192.0.2.1")
    assert len(answer.content) < 200
    assert "Content-Encoding" not in answer.headers

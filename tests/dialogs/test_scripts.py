"""The operators' scripts as browsers get them: small, compressed, and asked after only when they may have changed."""

import gzip
import re

import pytest
from django.conf import settings

BUDGET = 15 * 1024  # bytes, compressed (ui.md)


def scripts(client, address):
    """The answers to what a page's script tags ask for."""
    page = client.get(address)
    assert page.status_code == 200
    found = re.findall(r'<script src="([^"]+)"', page.content.decode())
    assert found
    return [client.get(url, headers={"Accept-Encoding": "gzip"}) for url in found]


@pytest.mark.parametrize("address", ["/workspace/", "/workspace/archive/", "/workspace/team/"])
def test_the_scripts_of_a_page_together_keep_within_the_budget(client, vera, address):
    client.force_login(vera)
    served = scripts(client, address)
    assert [answer.status_code for answer in served] == [200] * len(served)
    assert all(answer.headers["Content-Encoding"] == "gzip" for answer in served)
    assert sum(len(answer.content) for answer in served) < BUDGET


def test_a_script_says_the_same_without_its_comments_and_is_sent_once(client):
    answer = client.get("/workspace/scripts/rings.js", headers={"Accept-Encoding": "gzip"})
    text = gzip.decompress(answer.content).decode()
    written = (settings.BASE_DIR / "dialogs/static/dialogs/rings.js").read_text()
    assert "/* Rings (Q12)" in written
    assert "/*" not in text
    assert "window.live" in text
    again = client.get("/workspace/scripts/rings.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_there_are_no_other_scripts(client):
    for name in ("widget", "nothing", "..%2Fworkspace"):
        assert client.get(f"/workspace/scripts/{name}.js").status_code == 404

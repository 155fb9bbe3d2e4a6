"""The operators' scripts as browsers get them: small, compressed, and asked after only when they may have changed."""

import gzip
import os
import re

import pytest

from dialogs.views.scripts import PAGES, SOURCES, address_of, script_text

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
    answer = client.get("/workspace/scripts/workspace.js", headers={"Accept-Encoding": "gzip"})
    text = gzip.decompress(answer.content).decode()
    assert "/* Rings (Q12)" in (SOURCES / "rings" / "main.js").read_text()
    assert "/*" not in text
    assert "rings_" in text
    again = client.get("/workspace/scripts/workspace.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_there_are_no_other_scripts(client):
    for name in ("widget", "live", "nothing", "..%2Fworkspace"):
        assert client.get(f"/workspace/scripts/{name}.js").status_code == 404


@pytest.mark.parametrize("page", [*PAGES, "widget"])
def test_a_script_is_one_function_that_leaves_nothing_behind(page):
    text = script_text(page)
    assert text.startswith("(()=>{")
    assert text.endswith("})()")
    assert not re.search(r"\bimport\b|\bexport\b|\beval\(", text)


def test_a_changed_source_makes_another_script_at_another_address(monkeypatch, tmp_path):
    monkeypatch.setattr("dialogs.views.scripts.SOURCES", tmp_path)
    monkeypatch.setattr("dialogs.views.scripts._made", {})
    source = tmp_path / "team" / "main.js"
    source.parent.mkdir()
    source.write_text("window.one = 1;\n")
    first = address_of("team")
    assert first == address_of("team")
    source.write_text("window.two = 2;\n")
    os.utime(source, (1, 1))
    assert "two" in script_text("team")
    assert address_of("team") != first
    assert first.split("?")[0] == address_of("team").split("?")[0] == "/workspace/scripts/team.js"


def test_a_script_that_cannot_be_shortened_is_served_as_it_is(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr("dialogs.views.scripts._made", {})
    monkeypatch.setattr("webim_offline.foundation.minifier.PROGRAM", "raise SystemExit(1)")
    assert "\nfunction playTone(pitch, after, volume) {\n" in script_text("workspace")
    assert "served as it was written" in caplog.text


def test_no_line_of_a_source_is_too_long():
    sources = sorted(SOURCES.rglob("*.js"))
    assert sources
    long = [f"{path}:{n}" for path in sources for n, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 132]
    assert not long

"""Static files: compressed once, when they are collected; what was not collected, or has changed since, is served as it is."""

import gzip
import os
import stat
from pathlib import Path

import brotli
import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from webim_offline.foundation import static_files

SHEET = "/static/dialogs/workspace.css"


@pytest.fixture
def root(tmp_path, settings):
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    return settings.STATIC_ROOT


def collect():
    call_command("collectstatic", verbosity=0, interactive=False)


def get(address, encodings=""):
    answer = Client().get(address, headers={"Accept-Encoding": encodings})
    assert answer.status_code == 200
    return answer.headers.get("Content-Encoding"), answer.getvalue()


@pytest.mark.parametrize("address", [SHEET, "/static/admin/css/base.css", "/static/admin/js/core.js"])
def test_collected_files_come_as_brotli_or_gzip_or_plain(root, address):
    plain = Path(finders.find(address.removeprefix("/static/"))).read_bytes()
    collect()
    assert get(address) == (None, plain)
    encoding, body = get(address, "gzip, deflate, br, zstd")
    assert (encoding, brotli.decompress(body)) == ("br", plain)
    assert len(body) < len(plain) / 2
    encoding, body = get(address, "gzip")
    assert (encoding, gzip.decompress(body)) == ("gzip", plain)


def test_what_varies_is_said_to_caches(root):
    collect()
    assert Client().get(SHEET).headers["Vary"] == "Accept-Encoding"


def test_only_what_has_changed_is_compressed_again(root, monkeypatch):
    compressed = []
    compress = static_files.QuickCompressor.compress

    def noted(self, path):
        compressed.append(path)
        return compress(self, path)

    def packable():
        return [path for path in compressed if path.endswith((".css", ".js"))]

    monkeypatch.setattr(static_files.QuickCompressor, "compress", noted)
    collect()
    assert len(packable()) > 50
    compressed.clear()
    collect()
    assert packable() == []
    sheet = root / "dialogs" / "workspace.css"
    before = sheet.read_bytes()
    sheet.write_text("a { color: red } " * 100)
    os.utime(sheet, (1, 1))  # older than the source: it is collected anew
    collect()
    assert packable() == [str(sheet)]
    assert brotli.decompress(get(SHEET, "br")[1]) == before


def test_a_file_that_differs_from_what_was_collected_is_served_as_it_is(root):
    """A developer has edited it, or a release was put in place without collecting."""
    collect()
    sheet = root / "dialogs" / "workspace.css"
    sheet.write_text("a { color: red }")
    encoding, body = get(SHEET, "br")
    assert encoding is None
    assert body == Path(finders.find("dialogs/workspace.css")).read_bytes()


def test_everybody_may_read_them_as_a_proxy_does(root):
    before = os.umask(0o077)
    try:
        collect()
    finally:
        os.umask(before)
    for ending in ("", ".br", ".gz"):
        assert stat.S_IMODE((root / "dialogs" / f"workspace.css{ending}").stat().st_mode) == 0o644

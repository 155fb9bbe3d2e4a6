"""The widget in two parts (decision 0026): their addresses, what joins them over a release, and a session's two answers."""

import gzip
import json
import re

import brotli
import pytest
from django.core.cache import cache
from django.test import Client

from dialogs.actions.conversation import answer
from dialogs.models import Dialog
from dialogs.views import widget
from dialogs.views.scripts import SOURCES
from tests import people
from tests.dialogs.test_widget_api import Page
from webim_offline.foundation.http.accepted import accepted
from webim_offline.foundation.javascript import join

BUDGET = 8000  # bytes on the wire before anybody opens the widget
# what the window takes from the first part, by contract number: a change of it needs another number
CONTRACTS = {
    1: "acceptConversation acceptSession addStyles backOff beat call callLive element greet guarded hear icon icons "
    "isOnline keeper knownFields live load markOf newKey on parts pause readConversation remember report "
    "requestedPause save say seenRevision setConnected setIcon setShown setText site state storedToken tell "
    "unreadMessages visitorFields",
}


@pytest.fixture(autouse=True)
def _fresh_limits():
    cache.clear()


def window_address(account):
    name = re.search(r'"window": "([\w-]+)"', Client().get(f"/widget/{account.slug}.js").content.decode())
    return f"/widget/window/{name[1]}.js"


class TestContract:
    def test_it_holds_what_the_window_takes_and_nothing_else(self):
        source = (SOURCES / "widget" / "contract.js").read_text()
        given = re.findall(r"^  (\w+),$", source[source.index("export const contract") :], re.MULTILINE)
        taken = join(SOURCES / "window" / "main.js", behind=SOURCES / "widget" / "main.js").taken
        assert given == list(taken) == sorted(given)

    def test_another_one_has_another_number(self):
        taken = join(SOURCES / "window" / "main.js", behind=SOURCES / "widget" / "main.js").taken
        assert " ".join(taken) == CONTRACTS[widget.CONTRACT]

    def test_no_module_is_in_both_parts(self):
        first = join(SOURCES / "widget" / "main.js")
        second = join(SOURCES / "window" / "main.js", behind=SOURCES / "widget" / "main.js")
        assert not set(first.files) & set(second.files)
        assert {path.stem for path in second.files} >= {"form", "log", "sending", "polls"}


class TestWindow:
    def test_the_current_version_is_kept_for_good(self, account):
        answer = Client().get(window_address(account))
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/javascript")
        assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Set-Cookie" not in answer
        assert answer.content.startswith(b"document.currentScript.webimOffline.take(")

    def test_another_version_of_the_contract_gets_the_current_window_for_a_while(self, account):
        current = Client().get(window_address(account))
        for version in ("00000000", "1", "of-an-older-release"):
            answer = Client().get(f"/widget/window/{widget.CONTRACT}-{version}.js")
            assert answer.content == current.content
            assert answer["Cache-Control"] == "public, max-age=300"

    @pytest.mark.parametrize("contract", [0, 2, 99])
    def test_another_contract_gets_both_parts_anew(self, account, contract):
        answer = Client().get(f"/widget/window/{contract}-00000000.js")
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "public, max-age=300"
        assert b"webimOffline.retire()" in answer.content
        assert b"s.dataset.account" in answer.content

    @pytest.mark.parametrize("name", ["one-00000000", "1", "-1-00000000", "1-", "1-a.b", "1-%22", "../demo"])
    def test_what_names_no_version_is_not_there(self, db, name):
        assert Client().get(f"/widget/window/{name}.js").status_code == 404

    def test_no_database_is_asked(self, account, django_assert_num_queries):
        address = window_address(account)
        with django_assert_num_queries(0):
            Client().get(address)

    def test_another_source_has_another_address(self, account, monkeypatch):
        before = window_address(account)
        monkeypatch.setattr(widget, "styles_text", lambda name: ".w { color: red }")
        assert window_address(account) != before


class TestCompression:
    @pytest.mark.parametrize(
        "address", ["/widget/north-tea.js", "/widget/window/1-0.js", "/widget/window.css", "/workspace/scripts/workspace.js"]
    )
    def test_brotli_gzip_or_plain_say_the_same(self, account, address):
        plain = Client().get(address)
        assert "Content-Encoding" not in plain
        for header, encoding, opened in (("gzip, deflate, br, zstd", "br", brotli.decompress), ("gzip", "gzip", gzip.decompress)):
            packed = Client().get(address, headers={"Accept-Encoding": header})
            assert packed["Content-Encoding"] == encoding
            assert opened(packed.content) == plain.content
            assert "Accept-Encoding" in packed["Vary"]
            again = Client().get(address, headers={"Accept-Encoding": header, "If-None-Match": packed["ETag"]})
            assert (again.status_code, again.content) == (304, b"")

    def test_each_is_compressed_once(self, account, monkeypatch):
        ask = lambda: Client().get("/widget/north-tea.js", headers={"Accept-Encoding": "br"})  # noqa: E731
        first = ask()
        monkeypatch.setattr("brotli.compress", None)
        assert ask().content == first.content

    @pytest.mark.parametrize(
        ("header", "encoding"),
        [
            ("", ""),
            ("identity", ""),
            ("gzip, deflate, br", "br"),
            ("GZIP", "gzip"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("br; q=0.000", ""),
            ("br;q=0.1", "br"),
            ("*", "br"),
            ("br;q=0, *", "gzip"),
            ("*;q=0", ""),
            ("brotli, xgzip", ""),
        ],
    )
    def test_what_a_client_takes(self, header, encoding):
        assert accepted(header, ("br", "gzip")) == encoding


class TestBytes:
    @pytest.mark.parametrize("encodings", ["gzip, deflate, br", "gzip"])
    @pytest.mark.parametrize("language", ["en", "ru"])
    def test_what_is_sent_before_anybody_opens_it_is_small(self, account, encodings, language, monkeypatch):
        monkeypatch.setattr("django.utils.text.secrets.randbelow", lambda most: most - 1)  # most bytes against BREACH
        script = Client().get(f"/widget/{account.slug}.js", headers={"Accept-Encoding": encodings})
        page = Page(account, language=language)
        page.client = Client(headers={"Accept-Encoding": encodings})
        session = page.post("session", **page.place, page=page.page, brief=True, languages=["ru-RU", "ru", "en-US", "en"])
        assert session.status_code == 200
        assert len(script.content) + len(session.content) <= BUDGET


class TestBriefSession:
    def test_it_tells_what_the_button_needs_alone(self, account):
        answer = Page(account).open(brief=True)
        assert set(answer) == {"ticket", "service", "language", "spoken", "offline_mode", "texts", "conversation", "token"}
        assert answer["conversation"] is None
        assert answer["texts"]["leave"] == "Leave a message"
        assert len(answer["texts"]) == 7

    def test_all_is_told_to_whoever_does_not_ask_for_less(self, account):
        page = Page(account)
        brief = page.open(brief=True)
        for asked in ({}, {"brief": False}):
            answer = page.open(**asked)
            assert {"form", "known", "longest", "account", "privacy_url", "offline_text"} <= set(answer)
            assert brief["texts"].items() <= answer["texts"].items()
            assert len(answer["texts"]) > 40

    def test_of_the_conversation_it_tells_what_was_not_seen(self, account):
        anna = people.make_operator(account, "anna")
        page = Page(account)
        page.open()
        number = page.leave().json()["number"]
        dialog = Dialog.objects.get(number=number)
        answer(dialog.pk, anna, "Yes, two kinds", key="answer-0001")
        whole = page.open()["conversation"]
        assert [message["text"] for message in whole["messages"]] == ["Where is my order?", "Yes, two kinds"]
        seen = whole["messages"][0]["revision"]
        told = page.open(brief=True, number=number, after=seen)["conversation"]
        assert [message["text"] for message in told["messages"]] == ["Yes, two kinds"]
        assert len(page.open(brief=True)["conversation"]["messages"]) == 2
        assert len(page.open(brief=True, number=number + 1, after=seen)["conversation"]["messages"]) == 2
        assert (
            len(page.open(number=number, after=seen)["conversation"]["messages"]) == 2
        )  # only a brief answer leaves something out

    @pytest.mark.parametrize("wrong", [{"brief": "maybe"}, {"brief": True, "number": -1}, {"brief": True, "after": "x"}])
    def test_what_it_does_not_understand_is_said(self, account, wrong):
        page = Page(account)
        refused = page.post("session", **page.place, page=page.page, **wrong)
        assert refused.status_code == 400
        assert refused.json()["fields"]


class TestCompressedRequests:
    """A small body may hold a large one: nothing that comes compressed is opened."""

    @pytest.mark.parametrize("verb", ["session", "ticket", "conversation", "messages", "contacts", "end"])
    @pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "GZIP", "gzip, gzip"])
    def test_they_are_refused_in_words(self, account, verb, encoding):
        body = gzip.compress(json.dumps({"account": account.slug, "visit": "v" * 22, "text": "a" * 100_000}).encode())
        answer = Client(headers={"Content-Encoding": encoding}).post(f"/widget/api/{verb}", body, content_type="text/plain")
        assert answer.status_code == 415
        assert "uncompressed" in answer.json()["detail"]

    def test_one_that_does_not_say_so_is_not_json(self, account):
        answer = Client().post("/widget/api/session", gzip.compress(b"{}"), content_type="text/plain")
        assert answer.status_code == 400
        assert answer.json()["detail"] == "The request is not JSON."

    def test_uncompressed_may_be_said(self, account):
        page = Page(account)
        page.client = Client(headers={"Content-Encoding": "identity"})
        assert page.open()["ticket"]

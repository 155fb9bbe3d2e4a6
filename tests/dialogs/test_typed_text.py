"""What visitors and operators type comes through the borders as the rules say (C1, C2, C3, C5)."""

import pytest
from django.test import Client

from dialogs.models import LONGEST_PREVIEW, LONGEST_TEXT, Dialog, Message, MessageKind, Visitor
from dialogs.reading.search import excerpt
from dialogs.reading.search_terms import Marks
from dialogs.templatetags.dialog_tags import initials
from dialogs.views.archive import _last_text
from operators.models import Requirement
from tests import people
from tests.dialogs.test_widget_api import KEY, Page

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
NEWER = "\U0001fae9"  # of Unicode 16, which Python's tables do not know
FETCH = {"X-Requested-With": "fetch"}
MESSAGES = [
    ("a\x00b", "ab"),
    ("a\ud800b", "ab"),
    ("\x1b[2Jtea\x07", "[2Jtea"),
    ("one\r\n\r\n  two  \r\n", "one\n\n  two"),
    ("и\u0306 e\u0301", "й é"),
    (NEWER, NEWER),
    (FAMILY, FAMILY),
    ("\u202eabc\u202c", "\u202eabc\u202c"),
    ("x" * LONGEST_TEXT + "\x00\n ", "x" * LONGEST_TEXT),
    ("e\u0301" * LONGEST_TEXT, "é" * LONGEST_TEXT),
]
BLANK = ["\u3164", "\u2800", "\u115f", "\u200b\u2060\u00a0", " \n\ufeff", "\x00", "\ud800", "\ufe0f"]


@pytest.fixture
def page(account):
    account.contact_phone = account.contact_name = Requirement.OPTIONAL
    account.save()
    page = Page(account)
    page.open()
    return page


class TestVisitors:
    @pytest.mark.parametrize(("typed", "stored"), MESSAGES, ids=ascii)
    def test_a_message(self, page, typed, stored):
        assert page.leave(typed).status_code == 201
        assert Message.objects.get(kind=MessageKind.VISITOR).text == stored

    @pytest.mark.parametrize("typed", BLANK, ids=ascii)
    def test_a_message_of_which_nothing_would_be_seen(self, page, typed):
        refused = page.leave(typed)
        assert refused.status_code == 400
        assert refused.json()["fields"] == {"text": "Write a message."}

    def test_a_message_that_is_too_long_is_counted_as_it_is_stored(self, page):
        refused = page.leave("e\u0301" * (LONGEST_TEXT + 1))
        assert refused.json()["fields"]["text"].startswith("At most 4000 characters")

    @pytest.mark.parametrize(
        ("typed", "stored"),
        [
            ("علی\u200cرضا", "علی\u200cرضا"),
            (f"Ann {FAMILY}", f"Ann {FAMILY}"),
            (f"Bo {NEWER}", f"Bo {NEWER}"),
            ("\u202egnp.exe\u202c", "gnp.exe"),
            ("Zoe\u0308\x00\ud800", "Zoë"),
            ("\u3164", ""),
            ("Marina\r\n\tLebedeva", "Marina Lebedeva"),
        ],
        ids=ascii,
    )
    def test_a_name(self, page, typed, stored):
        assert page.leave(contacts={"email": "marina@mail.example", "name": typed}).status_code == 201
        assert Visitor.objects.get().name == stored

    @pytest.mark.parametrize(
        ("typed", "stored"),
        [
            ("marina@mail.example\x00", "marina@mail.example"),
            ("\u200e marina@mail.example\u200b", "marina@mail.example"),
            ("\ufeffmarina@mail.example", "marina@mail.example"),
            ("mari\u00adna@mail.example", "marina@mail.example"),
            ("анна@пример.рф", "анна@пример.рф"),
            ("андреи\u0306@mail.example", "андрей@mail.example"),
        ],
        ids=ascii,
    )
    def test_an_address(self, page, typed, stored):
        assert page.leave(contacts={"email": typed}).status_code == 201
        assert Visitor.objects.get().email == stored

    @pytest.mark.parametrize(
        "typed",
        ["+7\u2011999\u2011123\u201145\u201167", "8 800 555-35-35 вн. 12", "(495) 123\u201345\u201367 #4", "+44.20.7946.0000"],
    )
    def test_a_phone_is_kept_as_typed(self, page, typed):
        assert page.leave(contacts={"email": "marina@mail.example", "phone": typed}).status_code == 201
        assert Visitor.objects.get().phone == typed

    def test_a_department_that_nobody_can_have_is_unknown_like_any_other(self, page):
        page.place |= {"department": "a\x00b\ud800", "languages": ["\x00"]}
        assert page.leave().status_code == 201
        assert Dialog.objects.get().department is None

    def test_keys_stay_as_they_are(self, page):
        assert list(page.leave(key="key\x00-0000001").json()["fields"]) == ["key"]
        assert not Message.objects.exists()

    @pytest.mark.parametrize(
        ("text", "preview"),
        [
            ("x" * (LONGEST_PREVIEW - 2) + FAMILY, "x" * (LONGEST_PREVIEW - 2) + "…"),
            ("x" * LONGEST_PREVIEW, "x" * LONGEST_PREVIEW),
            ("x" * (LONGEST_PREVIEW - 2) + "e\u0323\u0302\u0301y", "x" * (LONGEST_PREVIEW - 2) + "…"),
            ("\U0001f1f7\U0001f1fa" * LONGEST_PREVIEW, "\U0001f1f7\U0001f1fa" * 99 + "…"),
        ],
    )
    def test_a_preview_is_cut_between_graphemes(self, page, text, preview):
        assert page.leave(text).status_code == 201
        dialog = Dialog.objects.get()
        assert dialog.last_text == _last_text(dialog).removesuffix("…" if "…" not in preview else "") == preview

    def test_what_a_page_says_of_itself(self, page):
        page.page = {"url": "https://shop.example/tea", "title": f"{'x' * 198}{FAMILY}"}
        assert page.leave().status_code == 201
        assert Dialog.objects.get().page_title == "x" * 198


class TestOperators:
    @pytest.fixture
    def url(self, account, anna, client):
        client.force_login(anna)
        return f"/workspace/{people.start_dialog(account).number}/answer/"

    @pytest.mark.parametrize(("typed", "stored"), [pair for pair in MESSAGES if "\ud800" not in pair[0]], ids=ascii)
    def test_an_answer(self, client, url, typed, stored):
        sent = client.post(url, {"text": typed, "key": KEY}, headers=FETCH)
        assert sent.status_code == 200, sent.content
        assert Message.objects.get(kind=MessageKind.OPERATOR).text == stored

    @pytest.mark.parametrize("typed", [text for text in BLANK if "\ud800" not in text], ids=ascii)
    def test_an_answer_of_which_nothing_would_be_seen(self, client, url, typed):
        refused = client.post(url, {"text": typed, "key": KEY}, headers=FETCH)
        assert (refused.status_code, refused.json()["error"]) == (400, "Write the answer first.")

    @pytest.mark.parametrize(
        "asked", ["/workspace/archive/?q=tea%00", "/workspace/archive/?q=%07te%C2%85a", "/workspace/archive/?q=te%00a"]
    )
    def test_a_search(self, client, url, asked):
        found = client.get(asked)
        assert found.status_code == 200
        assert found.context["given"]["q"] == "tea"


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Anna Lebedeva", "AL"),
        (f"{FAMILY} Ann", f"{FAMILY}A"),
        ("e\u0301va", "E\u0301"),
        ("\U0001f1f7\U0001f1fa", "\U0001f1f7\U0001f1fa"),
        ("", ""),
    ],
)
def test_letters_of_an_avatar(name, letters):
    assert initials(name) == letters


@pytest.mark.parametrize("emoji", [FAMILY, "\U0001f44d\U0001f3fd", "\U0001f1f7\U0001f1fa", "क्षि"])
@pytest.mark.parametrize("shift", range(4))
def test_an_excerpt_is_cut_between_graphemes(emoji, shift):
    [(shown, _is_hit)] = excerpt("x" * shift + emoji * 100, Marks())
    assert shown.removesuffix("…").removeprefix("x" * shift).replace(emoji, "") == ""


def test_a_password_is_no_text(client, account, anna):
    """What is typed as a password is compared as it is: nothing is composed, nothing taken out."""
    anna.set_password("Cafe\u0301 au lait\u200d 71")
    anna.save()
    browser = Client()
    browser.post("/accounts/login/", {"username": "anna", "password": "Café au lait\u200d 71"})
    assert "_auth_user_id" not in browser.session
    browser.post("/accounts/login/", {"username": "anna", "password": "Cafe\u0301 au lait\u200d 71"})
    assert "_auth_user_id" in browser.session

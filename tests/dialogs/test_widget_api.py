"""The widget's script and the visitor API (W1, W3, W4, M10, B1, X2, X3, X5, P11)."""

import gzip
import hashlib
import json
import re

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory

from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import answer, bring_into_workspace, close_by_operator
from dialogs.live import tickets
from dialogs.models import LONGEST_TEXT, Dialog, Message, MessageKind, StartState, Visitor
from dialogs.views.scripts import SOURCES
from operators.actions.settings import change_settings
from operators.known_accounts import forget_known_accounts
from operators.models import ContactField, OfflineMode, Requirement
from tests import people
from webim_offline.foundation import environment
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.http.client_address import client_network
from webim_offline.foundation.javascript import join

VISIT = "visit-000001"
KEY = "key-00000001"


@pytest.fixture(autouse=True)
def _fresh_limits():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def browser():
    return Client()


class Page:
    """One page of a visitor's browser, as the widget speaks for it."""

    def __init__(self, account, *, token="", department="support", language="en"):
        self.client = Client()
        self.account, self.token = account.slug, token
        self.place = {"visit": VISIT, "department": department, "language": language}
        self.page = {"url": "https://shop.example/tea", "title": "Tea"}

    def post(self, verb, **body):
        body = {"account": self.account, "token": self.token, **body}
        return self.client.post(f"/widget/api/{verb}", json.dumps(body), content_type="text/plain;charset=UTF-8")

    def open(self, **body):
        response = self.post("session", **self.place, page=self.page, **body)
        assert response.status_code == 200, response.content
        self.token = response.json().get("token") or self.token
        return response.json()

    def send(self, text="Where is my order?", key=KEY, **body):
        return self.post("messages", **self.place, page=self.page, text=text, key=key, **body)

    def leave(self, text="Where is my order?", key=KEY, **body):
        """The offline form with the e-mail the account requires."""
        return self.send(text, key, from_form=True, **({"contacts": {"email": "marina@mail.example"}} | body))


@pytest.fixture
def page(account):
    page = Page(account)
    page.open()
    return page


class TestScript:
    def test_it_is_one_script_with_styles_under_15_kilobytes(self, account, browser):
        response = browser.get(f"/widget/{account.slug}.js", headers={"Accept-Encoding": "gzip"})
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/javascript")
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "Set-Cookie" not in response
        assert "default-src 'none'" in response["Content-Security-Policy"]  # of the file itself, not of the page that loads it
        script = gzip.decompress(response.content).decode()
        assert script.rstrip().endswith("});")
        assert f'"account": "{account.slug}"' in script
        assert len(gzip.compress(script.encode())) < 15 * 1024

    def test_a_browser_that_has_it_gets_304(self, account, browser):
        first = browser.get(f"/widget/{account.slug}.js")
        again = browser.get(f"/widget/{account.slug}.js", headers={"If-None-Match": f"W/{first['ETag']}"})
        assert (again.status_code, again.content) == (304, b"")

    @pytest.mark.parametrize("slug", ["nobody", "Nobody", "a'b", "a%22);alert(1);(%22", "%3Cscript%3E", "я" * 100])
    def test_an_unknown_account_is_one_console_line(self, db, browser, slug):
        response = browser.get(f"/widget/{slug}.js")
        assert response.status_code == 200
        script = response.content.decode()
        call = re.fullmatch(r"console\.warn\((.*)\);\n", script)
        assert isinstance(json.loads(call.group(1)), str)
        assert "<" not in script

    def test_an_archived_account_is_unknown(self, account, browser):
        account.archived_at = database_now()
        account.save(update_fields=["archived_at"])
        assert browser.get(f"/widget/{account.slug}.js").content.startswith(b"console.warn(")
        assert Page(account).post("session", visit=VISIT).status_code == 404

    def test_it_holds_nothing_that_a_strict_policy_forbids(self):
        source = join(SOURCES / "widget" / "main.js").text
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            ".style.",
            "cssText",
        ):
            assert word not in source

    def test_the_styles_are_served_for_browsers_that_need_a_link(self, db, browser):
        response = browser.get("/widget/widget.css")
        assert response["Content-Type"].startswith("text/css")
        assert ".w-launch" in response.content.decode()


class TestSession:
    def test_a_new_visitor_gets_a_token_of_which_only_the_digest_is_kept(self, account):
        page = Page(account)
        answer = page.open()
        page.leave()
        visitor = Visitor.objects.get()
        assert len(answer["token"]) >= 40
        assert visitor.token_digest == hashlib.sha256(answer["token"].encode()).hexdigest()
        assert answer["token"] not in str(Visitor.objects.values())

    def test_somebody_who_only_looks_leaves_no_row(self, account):
        for _ in range(100):
            page = Page(account)
            page.open()
            assert "token" not in page.open()
            assert page.post("ticket", **page.place, page=page.page).status_code == 200
            assert page.post("conversation").json() == {"conversation": None}
        assert Visitor.objects.count() == 0

    def test_the_next_page_before_the_first_message_is_the_same_visitors(self, page):
        visitor = tickets.read(tickets.VISIT, page.open()["ticket"])["v"]
        page.leave()
        assert Visitor.objects.get().pk == visitor
        claims = tickets.read(tickets.VISIT, page.open()["ticket"])
        assert claims["v"] == visitor
        assert "n" not in claims

    @pytest.mark.parametrize("verb", ["session", "ticket", "conversation", "messages", "contacts", "end"])
    def test_a_token_signed_for_another_account_is_unknown(self, account, other_account, verb):
        theirs = Page(other_account, department="")
        theirs.open()
        page = Page(account, token=theirs.token)
        body = {"text": "Hello", "key": KEY, "contacts": {"email": "marina@mail.example"}, "number": 1}
        assert page.post(verb, **page.place, page=page.page, **body).status_code == 401
        assert not Visitor.objects.exists()

    def test_a_token_changed_in_one_place_is_unknown(self, page):
        for place in range(len(page.token)):
            other = "A" if page.token[place] != "A" else "B"
            forged = page.token[:place] + other + page.token[place + 1 :]
            assert page.post("conversation", token=forged).status_code == 401

    def test_who_has_written_nothing_has_no_contacts_to_leave_and_no_chat_to_end(self, page):
        assert page.post("contacts", contacts={"email": "marina@mail.example"}).status_code == 404
        assert page.post("end", number=1).status_code == 404
        assert not Visitor.objects.exists()

    def test_the_ticket_is_for_this_visit_alone_and_says_nothing_to_the_api(self, account, page):
        ticket = page.open()["ticket"]
        claims = tickets.read(tickets.VISIT, ticket)
        support, english = account.departments.get(slug="support"), account.languages.get(code="en")
        page.leave()
        found = {name: claims[name] for name in "avkdl"}
        assert found == {"a": account.pk, "v": Visitor.objects.get().pk, "k": VISIT, "d": support.pk, "l": english.pk}
        assert page.token not in ticket
        with pytest.raises(tickets.BadTicket):
            tickets.read(tickets.WORKSPACE, ticket)
        thief = Page(account, token=ticket)
        assert thief.post("conversation").status_code in {400, 401}

    def test_a_fresh_ticket_needs_the_token(self, account, page):
        fresh = page.post("ticket", **page.place)
        assert tickets.read(tickets.VISIT, fresh.json()["ticket"])["k"] == VISIT
        assert Page(account, token="x" * 43).post("ticket", **page.place).status_code == 401

    def test_the_service_state_follows_the_operators_of_department_and_language(self, account, anna):
        assert Page(account).open()["service"] == "offline"
        people.go_online(anna)
        assert Page(account).open()["service"] == "online"
        assert Page(account, department="sales").open()["service"] == "offline"
        assert Page(account, department="").open()["service"] == "online"

    def test_an_unknown_or_archived_department_means_none(self, account, anna):
        people.go_online(anna)
        sales = account.departments.get(slug="sales")
        sales.archived_at = database_now()
        sales.save(update_fields=["archived_at"])
        for department in ("nowhere", "sales"):
            answer = Page(account, department=department).open()
            assert answer["service"] == "online"
            assert tickets.read(tickets.VISIT, answer["ticket"])["d"] is None

    @pytest.mark.parametrize(
        ("asked", "others", "language"),
        [
            ("ru", [], "ru"),
            ("", ["ru-RU", "en"], "ru"),
            ("", ["de-DE", "ru"], "ru"),
            ("xx", [], "en"),
            ("", [], "en"),
            ("RU_ru", [], "ru"),
        ],
    )
    def test_the_language_is_the_first_asked_that_the_account_speaks(self, account, asked, others, language):
        answer = Page(account, language=asked).open(languages=others)
        assert (answer["language"], answer["spoken"]) == (language, language)

    def test_words_we_have_no_translation_for_are_the_visitors_own_language(self, db):
        answer = Page(people.make_account("berlin", languages=("de",)), language="").open(languages=["ru-RU"])
        assert (answer["language"], answer["spoken"]) == ("de", "ru")

    def test_the_form_is_what_the_account_asks_for(self, account):
        account.contact_phone = Requirement.REQUIRED
        account.contact_name = Requirement.OFF
        account.save()
        own = ContactField.objects.create(account=account, label="Order number", requirement=Requirement.OPTIONAL)
        ContactField.objects.create(account=account, label="Not asked", requirement=Requirement.OFF)
        fields = Page(account).open()["form"]["fields"]
        assert [(f["name"], f["required"]) for f in fields] == [("email", True), ("phone", True), (f"own_{own.pk}", False)]
        assert fields[-1]["label"] == "Order number"

    def test_hidden_mode_privacy_line_and_special_text_are_told(self, account):
        account.widget_offline_mode, account.privacy_url = OfflineMode.HIDDEN, "https://north.example/privacy"
        account.save()
        account.languages.filter(code="en").update(offline_text="We pour tea from nine.")
        answer = Page(account).open()
        assert answer["offline_mode"] == "hidden"
        assert answer["privacy_url"] == "https://north.example/privacy"
        assert answer["offline_text"] == "We pour tea from nine."

    def test_no_cookie_is_set_and_any_origin_may_read(self, page):
        response = page.post("session", **page.place)
        assert not response.cookies
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response
        assert response["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "body", [b"", b"no json", b"[]", b"1", b"[" * 100_000, b'{"account": "\xff"}', b'{"account": {"a": 1}}']
    )
    def test_a_body_that_is_not_understood_is_refused(self, db, browser, body):
        response = browser.post("/widget/api/session", body, content_type="text/plain")
        assert response.status_code == 400
        assert response.json()["detail"]
        assert response["Access-Control-Allow-Origin"] == "*"
        assert not Visitor.objects.exists()

    def test_a_huge_body_is_refused(self, account, browser):
        body = json.dumps({"account": account.slug, "visit": VISIT, "pad": "x" * 200_000})
        assert browser.post("/widget/api/session", body, content_type="text/plain").status_code == 413

    @pytest.mark.parametrize("slug", ["nobody", "north tea", "", "a\x00b", "x" * 64])
    def test_an_unknown_account_is_refused(self, account, browser, slug):
        response = browser.post("/widget/api/session", json.dumps({"account": slug, "visit": VISIT}), content_type="text/plain")
        assert response.status_code in {400, 404}
        assert not Visitor.objects.exists()

    @pytest.mark.parametrize("visit", ["", "short", "x" * 65, "ключ-визита", "a b c d e f", 12345678.5, None, {"a": 1}])
    def test_a_visit_needs_a_proper_key(self, account, browser, visit):
        body = json.dumps({"account": account.slug, "visit": visit})
        assert browser.post("/widget/api/session", body, content_type="text/plain").status_code == 400

    def test_reading_the_addresses_is_not_possible(self, db, browser):
        assert browser.get("/widget/api/session").status_code == 405


class TestMessages:
    def test_a_left_message_is_kept_and_confirmed_with_its_number(self, account, page):
        response = page.leave()
        assert response.status_code == 201
        dialog = Dialog.objects.get()
        told = response.json()["conversation"]
        assert response.json()["number"] == told["number"] == dialog.number
        assert told["open"]
        assert told["started_offline"]
        assert told["missing"] == []
        assert [(m["text"], m["mine"], m["key"]) for m in told["messages"]] == [("Where is my order?", True, KEY)]
        assert (dialog.page_url, dialog.page_title) == ("https://shop.example/tea", "Tea")
        assert (dialog.department.slug, dialog.language.code) == ("support", "en")
        assert dialog.visitor.email == "marina@mail.example"

    def test_the_same_key_is_one_message_whatever_happens(self, account, page):
        first, again = page.leave(), page.leave()
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["number"] == again.json()["number"]
        assert (Dialog.objects.count(), Message.objects.count()) == (1, 1)

    def test_a_repetition_after_the_form_grew_stricter_is_still_the_same(self, account, page):
        page.leave()
        page.post("end", number=1)
        account.contact_phone = Requirement.REQUIRED
        account.save()
        again = page.leave()
        assert (again.status_code, again.json()["number"]) == (200, 1)
        assert Dialog.objects.count() == 1

    def test_another_visitor_may_use_the_same_key(self, account, page):
        page.leave()
        other = Page(account)
        other.open()
        assert other.leave().status_code == 201
        assert Dialog.objects.count() == 2

    def test_a_form_filled_offline_and_sent_online_starts_online_and_keeps_the_contacts(self, page, anna):
        people.go_online(anna)
        page.leave(contacts={"name": "Marina", "email": "marina@mail.example"})
        dialog = Dialog.objects.get()
        assert dialog.start_state == StartState.ONLINE
        assert (dialog.visitor.name, dialog.visitor.email) == ("Marina", "marina@mail.example")

    def test_a_text_begun_online_and_sent_offline_is_kept_and_contacts_are_asked(self, page):
        told = page.send().json()["conversation"]
        assert told["started_offline"]
        assert told["missing"] == ["email"]
        after = page.post("contacts", contacts={"email": "marina@mail.example"}).json()["conversation"]
        assert after["missing"] == []
        assert Visitor.objects.get().email == "marina@mail.example"

    def test_own_fields_are_kept_under_their_labels(self, account):
        own = ContactField.objects.create(account=account, label="Order number", requirement=Requirement.REQUIRED)
        page = Page(account)
        page.open()
        refused = page.leave()
        assert refused.status_code == 400
        assert list(refused.json()["fields"]) == [f"own_{own.pk}"]
        assert page.leave(contacts={"email": "m@mail.example", f"own_{own.pk}": " A-17 \n"}).status_code == 201
        assert Visitor.objects.get().own_fields == {"Order number": "A-17"}
        assert page.open()["known"][f"own_{own.pk}"] == "A-17"

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"text": ""}, "text"),
            ({"text": " \n\t "}, "text"),
            ({"text": "\u200b\u2060\u00a0"}, "text"),
            ({"text": "x" * (LONGEST_TEXT + 1)}, "text"),
            ({"text": "\x00"}, "text"),
            ({"text": "\ud800"}, "text"),
            ({"text": None}, "text"),
            ({"text": ["a"]}, "text"),
            ({"key": ""}, "key"),
            ({"key": "a b c d e f g"}, "key"),
            ({"key": "k" * 65}, "key"),
            ({"contacts": {}}, "email"),
            ({"contacts": {"email": "marina@mail"}}, "email"),
            ({"contacts": {"email": "a@mail.example, b@mail.example"}}, "email"),
            ({"contacts": {"email": f"{'m' * 250}@mail.example"}}, "email"),
            ({"contacts": {"email": "m @mail.example\x00"}}, "email"),
            ({"contacts": {"email": "m@mail.example", "name": "x" * 121}}, "name"),
            ({"contacts": {"email": "m@mail.example", "name": {"a": "b"}}}, "name"),
            ({"contacts": {"email": "m@mail.example", "phone": "+7 912 555-01-47"}}, "phone"),
            ({"contacts": {"email": "m@mail.example", "own_999999": "x"}}, "own_999999"),
            ({"contacts": {"email": "m@mail.example", "is_staff\ud800": "x"}}, "contacts"),
            ({"contacts": "marina@mail.example"}, "contacts"),
            ({"from_form": "perhaps"}, "from_form"),
            ({"visit": "x"}, "visit"),
            ({"after": -1}, "after"),
            ({"number": 2**70}, "number"),
        ],
    )
    def test_bad_input_names_the_field_and_writes_nothing(self, page, change, field):
        body = page.place | {"text": "Hello", "key": KEY, "from_form": True, "contacts": {"email": "marina@mail.example"}} | change
        response = page.post("messages", **body)
        assert response.status_code == 400
        assert list(response.json()["fields"]) == [field]
        assert response.json()["fields"][field]
        assert not Dialog.objects.exists()
        assert not Visitor.objects.exclude(name="", email="", phone="", own_fields={}).exists()

    @pytest.mark.parametrize(
        ("phone", "is_one"),
        [
            ("+7 (912) 555-01-47", True),
            ("8 800 555 35 35 доб. 12", True),
            ("112233", True),
            ("12", False),
            ("call me", False),
            ("+7 912 555-01-47; rm -rf", False),
            ("1" * 30, False),
        ],
    )
    def test_a_phone_looks_like_one(self, account, phone, is_one):
        account.contact_phone = Requirement.OPTIONAL
        account.save()
        page = Page(account)
        page.open()
        response = page.leave(contacts={"email": "m@mail.example", "phone": phone})
        assert (response.status_code == 201) is is_one

    def test_a_name_cannot_bring_line_breaks(self, page):
        page.leave(contacts={"email": "m@mail.example", "name": "Marina\r\nBcc: all@mail.example\x07"})
        assert Visitor.objects.get().name == "Marina Bcc: all@mail.example"

    def test_the_longest_text_is_kept_whole(self, page):
        text = "ё" * LONGEST_TEXT
        assert page.leave(text).status_code == 201
        assert Message.objects.get().text == text

    def test_errors_are_said_in_the_visitors_language(self, account):
        page = Page(account, language="ru")
        page.open()
        english, russian = Page(account), page.leave(contacts={"email": "marina@mail"}).json()["fields"]["email"]
        english.open()
        assert isinstance(russian, str)
        assert russian
        assert english.leave(contacts={"email": "marina@mail"}).json()["fields"]["email"].startswith("Check the address")

    @pytest.mark.parametrize(
        ("told", "kept"),
        [
            ({"url": "javascript:alert(1)", "title": "T"}, ("", "T")),
            ({"url": "https://shop.example/" + "x" * 5000, "title": "y" * 5000}, ("https://shop.example/" + "x" * 979, "y" * 200)),
            ({"url": "https://shop.example/a\x00b", "title": "a\ud800\nb"}, ("https://shop.example/ab", "a b")),
            ({"url": 5, "title": None}, ("", "")),
        ],
    )
    def test_what_a_page_says_of_itself_never_refuses_a_message(self, page, told, kept):
        page.page = told
        assert page.leave().status_code == 201
        dialog = Dialog.objects.get()
        assert (dialog.page_url, dialog.page_title) == kept


class TestSeparation:
    """X2: the own dialogs, proven by the token of one account."""

    @pytest.mark.parametrize("token", ["x" * 43, "' OR 1=1 --", "\u00e9" * 20])
    @pytest.mark.parametrize("verb", ["conversation", "messages", "contacts", "end", "ticket"])
    def test_a_forged_token_opens_nothing(self, account, page, verb, token):
        page.leave()
        thief = Page(account, token=token)
        body = thief.place | {"text": "Hello", "key": "other-key-1", "number": 1, "contacts": {"name": "X"}}
        response = thief.post(verb, **body)
        assert response.status_code == 401
        assert response.json()["detail"]
        assert Message.objects.count() == 1

    @pytest.mark.parametrize("verb", ["session", "conversation", "messages", "contacts", "end", "ticket"])
    def test_a_token_of_another_account_opens_nothing(self, page, other_account, verb):
        page.leave()
        foreign = Page(other_account, token=page.token)
        body = foreign.place | {"text": "Hello", "key": "other-key-1", "number": 1, "contacts": {"name": "X"}}
        assert foreign.post(verb, **body).status_code == 401
        assert Message.objects.count() == 1
        assert not Visitor.objects.filter(account=other_account).exists()

    def test_another_visitors_number_is_not_found(self, account, page):
        page.leave()
        other = Page(account)
        other.open()
        assert other.post("end", number=1).status_code == 404
        assert other.post("conversation", number=1, after=0).json()["conversation"] is None
        assert Dialog.objects.get().is_open

    def test_a_message_cannot_name_another_accounts_department(self, page, other_account):
        people.Department.objects.create(account=other_account, slug="secret", name="Secret")
        page.place["department"] = "secret"
        page.leave()
        assert Dialog.objects.get().department is None


class TestConversation:
    def test_the_visitor_sees_people_and_no_system_messages(self, page, anna, process):
        page.leave()
        dialog = Dialog.objects.get()
        take(dialog.pk, anna)
        answer(dialog.pk, anna, "On its way", key="a1")
        Message.objects.create(dialog=dialog, kind=MessageKind.SYSTEM, code="left", at=database_now(), revision=99)
        told = page.open()["conversation"]
        assert [(m["name"], m["text"]) for m in told["messages"]] == [("", "Where is my order?"), ("Anna", "On its way")]
        assert told["operator"] == "Anna"
        assert "Visitor left" not in json.dumps(told)

    def test_only_what_is_new_is_sent(self, page, anna):
        known = page.leave().json()["conversation"]
        dialog = Dialog.objects.get()
        answer(dialog.pk, anna, "On its way", key="a1")
        told = page.post("conversation", number=known["number"], after=known["revision"]).json()["conversation"]
        assert [m["text"] for m in told["messages"]] == ["On its way"]
        again = page.post("conversation", number=told["number"], after=told["revision"]).json()["conversation"]
        assert again["messages"] == []

    def test_a_long_conversation_comes_in_bounded_parts(self, page, monkeypatch):
        monkeypatch.setattr("dialogs.views.visitor_api.MOST_MESSAGES", 3)
        for number in range(8):
            page.send(str(number), key=f"key-0000000{number}", contacts={"email": "m@mail.example"})
        whole = page.open()["conversation"]
        assert [m["text"] for m in whole["messages"]] == ["5", "6", "7"]
        assert whole["cut"]
        assert not whole["more"]
        texts, after, asked = [], 1, 0
        while True:
            part = page.post("conversation", number=1, after=after).json()["conversation"]
            texts += [m["text"] for m in part["messages"]]
            after, asked = part["revision"], asked + 1
            if not part["more"]:
                break
        assert texts == list("01234567")[-len(texts) :]
        assert len(texts) >= 7
        assert asked >= 3

    def test_after_the_end_the_last_one_can_be_read_and_a_message_goes_on_with_it(self, page):
        """Q9."""
        page.leave()
        ended = page.post("end", number=1).json()["conversation"]
        assert (ended["open"], ended["closed_by_visitor"]) == (False, True)
        assert page.open()["conversation"]["number"] == 1
        told = page.leave("Another thing", key="key-00000002", contacts={}).json()
        assert (told["number"], told["conversation"]["number"], told["conversation"]["open"]) == (1, 1, True)
        assert [m["text"] for m in told["conversation"]["messages"]][-1] == "Another thing"

    def test_after_the_end_for_good_a_message_starts_a_new_one(self, account, page):
        change_settings(account, {"reopen_window": 0}, actor=None)
        page.leave()
        page.post("end", number=1)
        told = page.leave("Another thing", key="key-00000002", contacts={}).json()
        assert told["number"] == told["conversation"]["number"] == 2
        assert [m["text"] for m in told["conversation"]["messages"]] == ["Another thing"]

    def test_ending_twice_is_a_conflict(self, page):
        page.leave()
        page.post("end", number=1)
        again = page.post("end", number=1)
        assert again.status_code == 409
        assert again.json()["detail"]

    def test_an_answer_of_a_closed_dialog_is_still_read(self, page, anna):
        page.leave()
        dialog = Dialog.objects.get()
        answer(dialog.pk, anna, "On its way", key="a1")
        close_by_operator(dialog.pk, anna)
        told = page.open()["conversation"]
        assert (told["open"], told["closed_by_visitor"], told["operator"]) == (False, False, "")
        assert told["messages"][-1]["text"] == "On its way"

    def test_contacts_must_be_asked_for_and_right(self, page):
        page.send()
        for contacts in ({}, {"email": ""}, {"email": "marina@"}, {"phone": "+7 912 555-01-47"}, None, []):
            assert page.post("contacts", contacts=contacts).status_code == 400
        assert Visitor.objects.get().email == ""


class TestMailOnly:
    """Left messages only go by mail (M5, M10)."""

    @pytest.fixture
    def account(self, account):
        account.left_messages_email, account.left_messages_in_workspace = "left@north.example", False
        account.save()
        return account

    def form(self, account, **settings):
        for name, value in settings.items():
            setattr(account, name, value)
        account.save()
        forget_known_accounts()  # a second later
        form = Page(account).open()["form"]
        return {f["name"]: f["required"] for f in form["fields"] if f["name"] != "name"}, form["either"]

    def test_a_way_to_answer_is_asked_for_whatever_the_settings(self, account):
        off, optional, required = Requirement.OFF, Requirement.OPTIONAL, Requirement.REQUIRED
        assert self.form(account, contact_email=off, contact_phone=off) == ({"email": True}, False)
        assert self.form(account, contact_email=optional, contact_phone=off) == ({"email": True}, False)
        assert self.form(account, contact_email=off, contact_phone=optional) == ({"email": False, "phone": False}, True)
        assert self.form(account, contact_email=optional, contact_phone=optional) == ({"email": False, "phone": False}, True)
        assert self.form(account, contact_email=off, contact_phone=required) == ({"email": False, "phone": True}, False)
        assert self.form(account, contact_email=required, contact_phone=optional) == ({"email": True, "phone": False}, False)

    @pytest.mark.parametrize(
        ("language", "contacts", "way"),
        [
            ("en", {"email": "m@mail.example"}, "We will answer by e-mail"),
            ("en", {"phone": "+7 912 555-01-47"}, "We will contact you"),
            ("en", {"email": "m@mail.example", "phone": "+7 912 555-01-47"}, "We will answer by e-mail"),
        ],
    )
    def test_the_visitor_is_told_how_the_answer_comes(self, account, language, contacts, way):
        account.contact_email = account.contact_phone = Requirement.OPTIONAL
        account.save()
        page = Page(account, language=language)
        page.open()
        assert page.leave(contacts=contacts).json()["conversation"]["way"] == way
        assert page.open()["conversation"]["way"] == way
        bring_into_workspace(Dialog.objects.get().pk, actor=None, undelivered="refused")
        assert page.open()["conversation"]["way"] == ""

    def test_without_a_way_to_answer_the_form_is_refused(self, account):
        account.contact_email = Requirement.OFF
        account.save()
        page = Page(account)
        page.open()
        refused = page.leave(contacts={"name": "Marina"})
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["email"])
        assert not Dialog.objects.exists()

    def test_writing_again_while_online_opens_the_new_dialog_and_shows_it(self, account, anna):
        page = Page(account)
        page.open()
        page.leave()
        people.go_online(anna)
        told = page.send("Are you there?", key="key-00000002").json()["conversation"]
        assert (told["number"], told["way"], told["started_offline"]) == (2, "", False)
        assert [m["text"] for m in told["messages"]] == ["Are you there?"]


class TestLimits:
    """X3."""

    def test_the_eleventh_start_of_a_visitor_within_a_minute_waits(self, account, page):
        change_settings(account, {"reopen_window": 0}, actor=None)
        for number in range(1, 11):
            assert page.leave(key=f"key-0000{number:04}").status_code == 201
            assert page.post("end", number=number).status_code == 200
        refused = page.leave(key="key-00009999")
        assert refused.status_code == 429
        assert 1 <= int(refused["Retry-After"]) <= 60
        assert refused.json()["retry_after"] == int(refused["Retry-After"])
        assert "Retry-After" in refused["Access-Control-Expose-Headers"]
        assert Dialog.objects.count() == 10

    def test_messages_into_an_open_dialog_are_no_starts(self, page):
        for number in range(15):
            assert page.leave(key=f"key-0000{number:04}").status_code in {200, 201}
        assert Dialog.objects.count() == 1

    def test_starts_are_limited_by_address_too(self, account, settings):
        settings.RATE_LIMITS = settings.RATE_LIMITS | {"dialog_start_address": "2/min"}
        codes = []
        for _ in range(3):
            page = Page(account)
            page.open()
            codes.append(page.leave().status_code)
        assert codes == [201, 201, 429]

    def test_a_refused_form_starts_nothing_but_a_valid_one_counts(self, page, settings):
        settings.RATE_LIMITS = settings.RATE_LIMITS | {"dialog_start_visitor": "1/min"}
        for _ in range(3):
            assert page.leave(contacts={"email": "wrong"}).status_code == 400
        assert page.leave().status_code == 201

    def test_new_visitors_are_limited_by_address(self, account, settings):
        settings.RATE_LIMITS = settings.RATE_LIMITS | {"visitor_session": "1/min"}
        Page(account).open()
        assert Page(account).post("session", visit=VISIT).status_code == 429

    def test_tickets_for_made_up_visits_are_limited_by_address(self, account, settings):
        settings.RATE_LIMITS = settings.RATE_LIMITS | {"visitor_session": "4/min"}
        page = Page(account)
        page.open()
        asked = [page.post("ticket", token=page.token, visit=f"made-up-{number}").status_code for number in range(5)]
        assert asked == [200] * 3 + [429] * 2

    @pytest.mark.parametrize(
        ("peer", "forwarded", "client"),
        [
            ("203.0.113.5", "198.51.100.7", "203.0.113.5"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("10.0.0.1", "nonsense", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
            ("", "198.51.100.7", "unknown"),
        ],
    )
    def test_only_trusted_proxies_say_who_the_client_is(self, settings, monkeypatch, peer, forwarded, client):
        monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8")
        settings.TRUSTED_PROXIES = environment.networks("TRUSTED_PROXIES")
        request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
        assert client_network(request) == client


class TestDemo:
    @pytest.mark.parametrize("address", ["/demo/", "/demo/about/"])
    def test_both_pages_carry_the_one_line_under_a_strict_policy(self, db, browser, address):
        response = browser.get(address)
        assert response.status_code == 200
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        html = response.content.decode()
        assert '<script src="/widget/demo.js" data-department="support" async></script>' in html
        assert html.count("<script") == 1
        assert not re.search(r"\sstyle=|\son\w+=", html)


class TestFieldsMadeOnce:
    def test_one_request_leaves_nothing_to_the_next(self, account, other_account):
        """The fields of serializers are made once in a thread; which contacts are asked for is another account's affair."""
        account.contact_phone = Requirement.OPTIONAL
        account.save()
        forget_known_accounts()
        first, second = Page(account), Page(other_account)
        first.open()
        second.open()
        refused = second.leave(text="", key="a-key-of-second-1", contacts={"email": "x", "phone": "+7 912 555-01-47"})
        assert set(refused.json()["fields"]) == {"text", "email", "phone"}
        accepted = first.leave(key="a-key-of-first-01", contacts={"email": "marina@mail.example", "phone": "+7 912 555-01-47"})
        assert accepted.status_code == 201
        assert second.leave(key="a-key-of-second-2").status_code == 201
        assert [message.text for message in Message.objects.order_by("pk")] == ["Where is my order?"] * 2

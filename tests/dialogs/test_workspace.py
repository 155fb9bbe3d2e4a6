"""The operator's page as a browser without script sees it, and its fragments (Q1 to Q6, Q9, A2, X1, X3)."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dialogs.actions.assignment_by_hand import take, transfer_to_operator
from dialogs.actions.conversation import close_by_operator
from dialogs.models import Dialog, Message, MessageKind, State
from operators.models import Operator, Status
from tests import people


@pytest.fixture
def as_anna(client, anna):
    client.force_login(anna)
    return client


def regions(html):
    """{section title: [card numbers]} of a page."""
    found = {}
    for section in re.findall(r'<section class="section".*?</section>', html, re.DOTALL):
        title = re.search(r'class="section-title"[^>]*>([^<]+)<', section).group(1)
        found[title] = [int(number) for number in re.findall(r'id="card-(\d+)"', section)]
    return found


def test_the_sections_are_those_of_the_contract(as_anna, account, anna, boris):
    queued = people.start_dialog(account)
    mine = people.start_dialog(account)
    take(mine.pk, anna)
    take(people.start_dialog(account).pk, boris)
    assert regions(as_anna.get("/workspace/").content.decode()) == {
        "Waiting for a reply": [],
        "In dialog with you": [mine.number],
        "General queue": [],
        "Offline inquiries": [queued.number],
    }


def test_a_supervisor_also_sees_other_operators(client, account, vera, boris):
    dialog = people.start_dialog(account)
    take(dialog.pk, boris)
    client.force_login(vera)
    assert regions(client.get("/workspace/").content.decode())["Other operators"] == [dialog.number]
    page = client.get(f"/workspace/{dialog.number}/")
    assert "Boris has this dialog." in page.content.decode()
    sales = people.start_dialog(account, department="sales")
    assert client.get(f"/workspace/{sales.number}/").status_code == 200


def test_the_russian_page_says_the_words_of_the_contract(as_anna, anna):
    Operator.objects.filter(pk=anna.pk).update(ui_language="ru")
    page = as_anna.get("/workspace/").content.decode()
    assert list(regions(page)) == ["Ожидают ответа", "В диалоге с вами", "Общая очередь", "Офлайн-обращения"]
    for option in ("Онлайн", "Невидимка", "Перерыв: обед", "Перерыв: личный", "Перерыв: технический", "Офлайн"):
        assert f">{option}</option>" in page


def test_a_card_says_number_name_and_that_the_visitor_left(as_anna, account, process):
    visitor = people.make_visitor(account, name="Marina")
    people.arrive(visitor, process)
    dialog = people.start_dialog(account, visitor=visitor)
    people.depart(visitor, process)
    card = as_anna.get("/workspace/panel/").content.decode().split(f'id="card-{dialog.number}"')[1].split("</li>")[0]
    words = " ".join(re.sub(r"<[^>]+>", " ", card.split(">", 2)[2]).split())
    assert words.startswith(f"#{dialog.number} Marina")
    assert "Visitor left the site" in words


def test_a_visitor_without_a_name_is_called_visitor(as_anna, account):
    people.start_dialog(account, visitor=people.make_visitor(account))
    assert '<span class="card-name">Visitor</span>' in as_anna.get("/workspace/panel/").content.decode()


def test_panel_and_page_take_a_constant_number_of_queries(as_anna, account, anna):
    def queries(url):

        Operator.objects.filter(pk=anna.pk).update(last_seen_at=timezone.now())  # or a sign of life is written beside
        with CaptureQueriesContext(connection) as captured:
            assert as_anna.get(url).status_code == 200
        return len(captured)

    first = people.start_dialog(account)
    urls = ["/workspace/", "/workspace/panel/", f"/workspace/{first.number}/", f"/workspace/{first.number}/fragment/"]
    few = {url: queries(url) for url in urls}
    many = people.make_visitors(account, 10_000)
    same = [
        f.column for f in Dialog._meta.concrete_fields if f.attname not in {"id", "number", "visitor_id", "is_offline", "wake_at"}
    ]
    with connection.cursor() as cursor:  # ten thousand like the first
        cursor.execute(
            f"INSERT INTO dialogs_dialog (number, visitor_id, is_offline, {', '.join(same)})"
            " SELECT 1 + ROW_NUMBER() OVER (ORDER BY visitor.id), visitor.id, visitor.id %% 2 = 0,"
            f" {', '.join(f'first.{name}' for name in same)}"
            " FROM dialogs_visitor AS visitor, dialogs_dialog AS first WHERE visitor.id <> first.visitor_id AND first.id = %s",
            [first.pk],
        )
    assert Dialog.objects.count() == 1 + len(many)
    Dialog.objects.filter(number__gt=9000).update(operator=anna, state=State.CHATTING)
    # of a section that hides some, it is counted how many; of a very long one in a query for the whole account
    assert all(queries(url) <= few[url] + 4 for url in urls)
    assert max(few.values()) <= 16
    page = as_anna.get("/workspace/panel/").content.decode()
    assert page.count('class="card ') < 400
    assert "more. This section shows the oldest ones only" in page


def test_reading_is_not_picking_up(as_anna, account):
    dialog = people.start_dialog(account)
    assert as_anna.get(f"/workspace/{dialog.number}/").status_code == 200
    dialog.refresh_from_db()
    assert (dialog.state, dialog.operator) == (State.QUEUE, None)


def test_each_page_has_a_key_of_its_own_for_its_answer(as_anna, account, anna):
    """B1: a key comes once, says nothing, and is no part of the ticket."""
    dialog = people.start_dialog(account)
    take(dialog.pk, anna)
    pages = [as_anna.get(f"/workspace/{dialog.number}/").content.decode() for _ in range(2)]
    keys = [re.search(r'name="key" value="([^"]+)"', page)[1] for page in pages]
    tickets = [re.search(r'data-ticket="([^"]+)"', page)[1] for page in pages]
    assert len(set(keys)) == 2
    assert all(20 <= len(key) <= 64 and key not in ticket for key, ticket in zip(keys, tickets, strict=True))


def test_take_answer_and_close_work_without_script(as_anna, account, anna):
    dialog = people.start_dialog(account)
    url = f"/workspace/{dialog.number}/"
    assert as_anna.post(url + "take/").url == url
    assert as_anna.post(url + "answer/", {"text": " It is on its way \n", "key": "k1"}).url == url
    assert as_anna.post(url + "close/").url == url
    dialog.refresh_from_db()
    assert (dialog.operator, dialog.state) == (anna, State.CLOSED_BY_OPERATOR)
    assert dialog.messages.get(kind=MessageKind.OPERATOR).text == "It is on its way"


@pytest.mark.parametrize(
    ("act", "data", "status", "words"),
    [
        ("answer", {"text": "   ", "key": "k"}, 400, "Write the answer first."),
        ("answer", {"text": "x" * 4001, "key": "k"}, 400, "at most 4000 characters"),
        ("answer", {"text": "x"}, 400, "Reload it"),
        ("answer", {"text": "x", "key": "k" * 65}, 400, "Reload it"),
        ("answer", {"text": "\x00", "key": "k"}, 400, "Write the answer first."),
        ("answer", {"text": "x", "key": "k\x00"}, 400, "cannot be kept"),
    ],
)
def test_bad_answers_are_refused_with_a_sentence_and_write_nothing(as_anna, account, act, data, status, words):
    dialog = people.start_dialog(account)
    before = Message.objects.count()
    response = as_anna.post(f"/workspace/{dialog.number}/{act}/", data, headers={"X-Requested-With": "fetch"})
    assert response.status_code == status
    assert words in response.json()["error"]
    assert Message.objects.count() == before


def test_the_second_taker_is_told_who_has_it(as_anna, account, boris):
    dialog = people.start_dialog(account)
    take(dialog.pk, boris)
    for act, data in (("take", {}), ("answer", {"text": "Hello", "key": "k"}), ("close", {})):
        url = f"/workspace/{dialog.number}/{act}/"
        response = as_anna.post(url, data, headers={"X-Requested-With": "fetch"})
        assert response.status_code == 409
        assert response.json()["error"] == "Boris has this dialog."
        assert as_anna.post(url, data).status_code == 409
    dialog.refresh_from_db()
    assert dialog.operator == boris


def test_a_closed_dialog_takes_nothing_more(as_anna, account, anna):
    dialog = people.start_dialog(account)
    as_anna.post(f"/workspace/{dialog.number}/take/")
    as_anna.post(f"/workspace/{dialog.number}/close/")
    for act, data in (("take", {}), ("answer", {"text": "Hello", "key": "k"}), ("close", {})):
        assert as_anna.post(f"/workspace/{dialog.number}/{act}/", data).status_code == 409


@pytest.mark.parametrize("path", ["", "fragment/", "take/", "answer/", "close/"])
def test_another_accounts_or_email_only_or_foreign_departments_dialog_does_not_exist(as_anna, account, other_account, path):
    theirs = people.start_dialog(other_account)
    Dialog.objects.filter(pk=theirs.pk).update(number=900)
    mail_only = people.start_dialog(account)
    Dialog.objects.filter(pk=mail_only.pk).update(number=901, in_workspace=False, email_only=True)
    sales = people.start_dialog(account, department="sales")
    Dialog.objects.filter(pk=sales.pk).update(number=902)
    for number in (900, 901, 902, 903, 10**30):
        method = as_anna.get if path in ("", "fragment/") else as_anna.post
        assert method(f"/workspace/{number}/{path}", {"text": "Hello", "key": "k"}).status_code == 404
    assert not Message.objects.filter(kind=MessageKind.OPERATOR).exists()


def test_a_status_is_chosen_and_an_unknown_one_refused(as_anna, anna):
    assert as_anna.post("/workspace/status/", {"status": "lunch"}).url == "/workspace/"
    anna.refresh_from_db()
    assert anna.status == Status.BREAK_LUNCH
    assert as_anna.post("/workspace/status/", {"status": "asleep"}).status_code == 400
    anna.refresh_from_db()
    assert anna.status == Status.BREAK_LUNCH
    assert list(anna.changes.values_list("status", flat=True)) == ["lunch"]


def test_every_request_of_the_workspace_is_a_sign_of_life(as_anna, anna):
    assert anna.last_seen_at is None
    as_anna.get("/workspace/panel/")
    anna.refresh_from_db()
    assert anna.last_seen_at is not None


def test_strangers_and_support_staff_are_sent_elsewhere(client, account):
    dialog = people.start_dialog(account)
    for url in ("/workspace/", f"/workspace/{dialog.number}/", "/workspace/panel/", "/workspace/ticket/"):
        assert client.get(url).url.startswith(reverse("login"))
    client.force_login(people.make_operator(None, "help"))
    assert client.get("/workspace/").url == "/admin/"


def test_writes_need_the_csrf_token(account, anna):

    dialog = people.start_dialog(account)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(anna)
    assert strict.post(f"/workspace/{dialog.number}/take/").status_code == 403


def test_a_visitors_text_is_never_html(as_anna, account):
    evil = "<script>alert(1)</script>"
    visitor = people.make_visitor(account, name='"><img src=x onerror=alert(1)>')
    dialog = people.start_dialog(account, visitor=visitor, text=evil, page_url="javascript:alert(1)", page_title=evil)
    page = as_anna.get(f"/workspace/{dialog.number}/").content.decode()
    assert evil not in page
    assert "<img src=x" not in page
    assert 'href="javascript:' not in page


def test_the_panel_survives_odd_numbers_of_the_open_dialog(as_anna):
    for odd in ("", "x", "-1", "9" * 40, "٣"):
        assert as_anna.get("/workspace/panel/", {"open": odd}).status_code == 200


# ----- queues: assigned, handed on, taken over (Q2, Q5, Q8, Q10) -----


def said(page):
    """What a page says, without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).replace("&nbsp;", " ").split())


def test_an_assigned_dialog_is_taken_before_it_is_answered_and_says_until_when(as_anna, account, anna, vera):
    dialog = people.start_dialog(account)
    transfer_to_operator(dialog.pk, vera, anna.pk, confirmed=True)
    dialog.refresh_from_db()
    url = f"/workspace/{dialog.number}/"
    page = as_anna.get(url)
    assert "This dialog is assigned to you. Take it within" in said(page)
    assert page.content.decode().count(f'data-until="{int(dialog.pickup_by.timestamp() * 1000)}"') == 3  # card, head, below
    assert 'id="reply"' not in page.content.decode()
    as_anna.post(url + "take/")
    page = as_anna.get(url).content.decode()
    assert 'id="reply"' in page
    assert "data-until" not in page


def test_taking_at_the_limit_asks_first_and_works_without_script(as_anna, account, anna):
    take(people.start_dialog(account).pk, anna)
    Operator.objects.filter(pk=anna.pk).update(max_offline_dialogs=1)
    dialog = people.start_dialog(account)
    url = f"/workspace/{dialog.number}/take/"
    warned = as_anna.post(url)
    assert warned.status_code == 409
    assert "You have 1 offline dialog; the limit is 1." in said(warned)
    assert "Take anyway" in said(warned)
    assert f'<form action="{url}" method="post">' in warned.content.decode()
    assert '<input type="hidden" name="confirmed" value="1">' in warned.content.decode()
    live = as_anna.post(url, headers={"X-Requested-With": "fetch"})
    assert (live.status_code, live.json()["asks"]) == (409, True)
    dialog.refresh_from_db()
    assert dialog.operator is None
    assert as_anna.post(url, {"confirmed": "1"}).status_code == 302
    dialog.refresh_from_db()
    assert dialog.operator == anna


def test_a_supervisor_takes_over_whom_the_page_named_after_being_asked(client, account, anna, boris, vera):
    dialog = take(people.start_dialog(account).pk, boris)
    client.force_login(vera)
    url = f"/workspace/{dialog.number}/"
    page = client.get(url).content.decode()
    assert f'name="instead_of" value="{boris.pk}"' in page
    assert 'id="reply"' not in page
    asked = client.post(url + "take/", {"instead_of": boris.pk})
    assert asked.status_code == 409
    assert "Boris has this dialog. If you take it, it moves to you." in said(asked)
    assert f'name="instead_of" value="{boris.pk}"' in asked.content.decode()
    transfer_to_operator(dialog.pk, boris, anna.pk, confirmed=True)
    late = client.post(url + "take/", {"instead_of": boris.pk, "confirmed": "1"})
    assert (late.status_code, "Anna has this dialog." in said(late)) == (409, True)
    assert client.post(url + "take/", {"instead_of": anna.pk, "confirmed": "1"}).status_code == 302
    dialog.refresh_from_db()
    assert (dialog.operator, dialog.state) == (vera, State.CHATTING)


def test_an_operator_takes_over_nobody_and_hands_on_only_their_own(as_anna, account, anna, boris):
    dialog = take(people.start_dialog(account).pk, boris)
    page = as_anna.get(f"/workspace/{dialog.number}/").content.decode()
    assert 'id="take"' not in page
    assert 'id="transfer-open"' not in page
    url = f"/workspace/{dialog.number}/"
    assert as_anna.post(url + "take/", {"instead_of": boris.pk, "confirmed": "1"}).status_code == 409
    assert as_anna.post(url + "transfer/", {"to": f"operator-{anna.pk}", "confirmed": "1"}).status_code == 409
    dialog.refresh_from_db()
    assert dialog.operator == boris


def test_a_transfer_asks_what_is_to_be_known_and_works_without_script(as_anna, account, anna):
    mute = people.make_operator(account, "mute", languages=("ru",), online=True)
    dialog = take(people.start_dialog(account, language="en").pk, anna)
    url = f"/workspace/{dialog.number}/transfer/"
    warned = as_anna.post(url, {"to": f"operator-{mute.pk}"})
    assert warned.status_code == 409
    assert "Mute does not speak the language of this dialog." in said(warned)
    assert "Transfer anyway" in said(warned)
    assert f'name="to" value="operator-{mute.pk}"' in warned.content.decode()
    assert as_anna.post(url, {"to": f"operator-{mute.pk}", "confirmed": "1"}).url == f"/workspace/{dialog.number}/"
    dialog.refresh_from_db()
    assert (dialog.operator, dialog.state) == (mute, State.QUEUE)


def test_a_dialog_handed_on_out_of_sight_leaves_the_page_without_one(as_anna, account, anna):
    sales = account.departments.get(slug="sales")
    for live in (False, True):
        dialog = take(people.start_dialog(account).pk, anna)
        headers = {"X-Requested-With": "fetch"} if live else {}
        response = as_anna.post(f"/workspace/{dialog.number}/transfer/", {"to": f"department-{sales.pk}"}, headers=headers)
        if live:
            assert "data-number" not in response.content.decode()
            assert "Choose a dialog." in said(response)
        else:
            assert response.url == "/workspace/"


@pytest.mark.parametrize(
    "to", ["", "operator-", "operator-x", "operator-0", f"operator-{10**30}", "department--1", "department-0", "you"]
)
def test_a_transfer_to_nobody_is_refused_with_a_sentence(as_anna, account, anna, to):
    dialog = take(people.start_dialog(account).pk, anna)
    response = as_anna.post(f"/workspace/{dialog.number}/transfer/", {"to": to, "confirmed": "1"})
    assert response.status_code in (400, 409)
    assert "Choose" in said(response)
    dialog.refresh_from_db()
    assert dialog.operator == anna


def test_a_closed_dialog_says_until_when_a_message_reopens_it(as_anna, account, anna):
    dialog = take(people.start_dialog(account).pk, anna)
    close_by_operator(dialog.pk, anna)
    dialog.refresh_from_db()
    page = as_anna.get(f"/workspace/{dialog.number}/")
    assert "A message of the visitor reopens it until" in said(page)
    assert f'data-clock="{int(dialog.closes_at.timestamp() * 1000)}"' in page.content.decode()
    Dialog.objects.filter(pk=dialog.pk).update(state=State.CLOSED, closes_at=None)
    assert "A message of the visitor starts a new dialog." in said(as_anna.get(f"/workspace/{dialog.number}/"))


def test_the_hand_is_told_what_became_of_the_card_it_is_on(as_anna, account, anna, boris):
    def told(number):
        page = as_anna.get("/workspace/panel/", {"under": number}).content.decode()
        found = re.search(r'<p id="gone" data-number="(\d+)" hidden>([^<]+)</p>', page)
        return found and (int(found[1]), found[2])

    dialog = people.start_dialog(account)
    assert told(dialog.number) is None
    take(dialog.pk, boris)
    assert told(dialog.number) == (dialog.number, "Boris took it")
    close_by_operator(dialog.pk, boris)
    assert told(dialog.number) == (dialog.number, "Closed")
    elsewhere = people.start_dialog(account, department="sales")
    assert told(elsewhere.number) == (elsewhere.number, "Not here any more")
    assert told("x") is None


def test_what_a_section_hides_is_said_and_found(as_anna, account, anna):
    Operator.objects.filter(pk=anna.pk).update(visible_offline_dialogs=1)
    people.start_dialog(account)
    assert "more" not in said(as_anna.get("/workspace/panel/"))
    hidden = people.start_dialog(account)
    page = as_anna.get("/workspace/panel/")
    assert "And 1 more. This section shows the oldest ones only, 1 at most. See them all" in said(page)
    link = re.search(r'section-more">.*?<a href="([^"]+)"', page.content.decode()).group(1)
    assert f"#{hidden.number}" in as_anna.get(link).content.decode()


def test_a_supervisor_sees_who_has_a_dialog_and_that_it_is_not_taken_yet(client, account, boris, vera):
    dialog = people.start_dialog(account)
    transfer_to_operator(dialog.pk, vera, boris.pk, confirmed=True)
    client.force_login(vera)
    assert "Boris not taken yet" in said(client.get("/workspace/panel/"))

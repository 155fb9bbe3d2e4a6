"""The operator's page as a browser without script sees it, and its fragments (Q1 to Q6, Q9, A2, X1, X3)."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dialogs.actions.assignment import take
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
    template = Dialog.objects.get()
    template.wake_at = None
    rows = []
    for number in range(2, 10_002):
        row = Dialog(**{f.attname: getattr(template, f.attname) for f in Dialog._meta.concrete_fields if not f.primary_key})
        row.number, row.visitor, row.is_offline = number, None, number % 2 == 0
        rows.append(row)
    visitors = type(template.visitor).objects.bulk_create(
        type(template.visitor)(account=account, token_digest=f"many-{row.number}") for row in rows
    )
    for row, visitor in zip(rows, visitors, strict=True):
        row.visitor = visitor
    Dialog.objects.bulk_create(rows, batch_size=1000)
    Dialog.objects.filter(number__gt=9000).update(operator=anna, state=State.CHATTING)
    assert {url: queries(url) for url in urls} == few
    assert max(few.values()) <= 20
    page = as_anna.get("/workspace/panel/").content.decode()
    assert page.count('class="card ') < 400
    assert "more. The" in page


def test_reading_is_not_picking_up(as_anna, account):
    dialog = people.start_dialog(account)
    assert as_anna.get(f"/workspace/{dialog.number}/").status_code == 200
    dialog.refresh_from_db()
    assert (dialog.state, dialog.operator) == (State.QUEUE, None)


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
        ("answer", {"text": "a\x00b", "key": "k"}, 400, "Reload it"),
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

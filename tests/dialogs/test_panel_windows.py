"""A section of the panel shows a window of its cards; what the page says of all of them does not depend on it (Q4, Q5, Q12)."""

import re

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dialogs.actions import assignment_by_hand
from dialogs.models import Dialog
from dialogs.reading import panel_rows, queues
from operators.models import Operator
from tests import people

pytestmark = pytest.mark.django_db
SECTION = re.compile(r'<section class="section" id="section-(\w+)".*?</section>', re.DOTALL)


class Shown:
    """A section as a page shows it."""

    def __init__(self, html):
        self.numbers = [int(number) for number in re.findall(r'<li id="card-(\d+)"><a', html)]
        self.count = int(re.search(r'class="count[^"]*">(\d+)<', html)[1])
        said = re.search(r'data-beyond="([^"]*)"', html)
        self.beyond = [words.split(":") for words in said[1].split()] if said else []
        self.beyond_numbers = [int(words[0]) for words in self.beyond]
        button = re.search(r'section-on" type="button"( hidden)?>([^<]*)<', html)
        self.button = None if button[1] else button[2]


def sections(browser, **about):
    html = browser.get("/workspace/panel/", about).content.decode()
    return {match[1]: Shown(match[0]) for match in SECTION.finditer(html)}


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(panel_rows, "WINDOW", 3)
    monkeypatch.setattr(panel_rows, "ROWS", range(1, 1000))


@pytest.fixture
def as_vera(vera):
    client = Client()
    client.force_login(vera)
    return client


def waiting(account, how_many, *, on_site=True):
    process = people.make_process()
    found = []
    for _ in range(how_many):
        visitor = people.make_visitor(account)
        if on_site:
            people.arrive(visitor, process)
        people.write(visitor)
        found.append(Dialog.objects.get(visitor=visitor))
    return found


def test_a_hundred_cards_at_first_and_more_when_they_are_wanted(as_vera, account):
    dialogs = waiting(account, 130, on_site=False)
    numbers = [dialog.number for dialog in dialogs]
    first = sections(as_vera)["offline"]
    assert (first.numbers, first.beyond_numbers, first.count) == (numbers[:100], numbers[100:], 130)
    assert first.button == "Show 30 more"
    whole = sections(as_vera, offline=200)["offline"]
    assert (whole.numbers, whole.beyond, whole.count, whole.button) == (numbers, [], 130, None)


@pytest.mark.parametrize("wanted", ["", "many", "-5", "0", "1", "1.5", "٣٠٠", "9" * 400, "<b>"])
def test_an_odd_window_shows_the_first_cards(as_vera, account, small_windows, wanted):
    waiting(account, 5, on_site=False)
    assert len(sections(as_vera, offline=wanted)["offline"].numbers) in {3, 5 if wanted == "9" * 400 else 3}


def test_a_client_that_asks_for_every_window_at_once_gets_what_q5_shows(as_vera, account, small_windows, monkeypatch):
    monkeypatch.setattr(queues, "MOST_FOR_SUPERVISOR", 7)
    waiting(account, 9, on_site=False)
    everything = dict.fromkeys(["waiting", "mine", "general", "offline", "others"], 10**15)
    shown = sections(as_vera, **everything)["offline"]
    assert (len(shown.numbers), shown.count, shown.button) == (7, 9, None)


def test_counts_and_hidden_ones_are_those_of_the_whole_section(account, anna, small_windows):
    account.visible_offline_dialogs = 4
    account.save()
    waiting(account, 6, on_site=False)
    browser = Client()
    browser.force_login(anna)
    shown = sections(browser)["offline"]
    assert (len(shown.numbers), len(shown.beyond), shown.count) == (3, 1, 6)
    assert "And 2 more." in browser.get("/workspace/panel/").content.decode()


def test_the_loud_card_is_in_the_window(as_vera, account, small_windows):
    """Of the visitors on the site the one who waits longest: here the first four wait for nobody, or are away."""
    dialogs = waiting(account, 8)
    away = [dialog.pk for dialog in dialogs[:4]]
    Dialog.objects.filter(pk__in=away).update(away_since=F("created_at"))
    shown = sections(as_vera)["general"]
    assert shown.numbers == [dialog.number for dialog in dialogs[:5]]
    assert shown.beyond_numbers == [dialog.number for dialog in dialogs[5:]]
    assert all(words[1].isdigit() for words in shown.beyond)  # since when they wait


def test_the_loud_card_of_ones_own_dialogs_leaves_the_queue_alone(as_vera, vera, account, small_windows):
    first, *others = waiting(account, 8)
    assignment_by_hand.take(first.pk, vera, confirmed=True)
    assert sections(as_vera)["general"].numbers == [dialog.number for dialog in others[:3]]


def test_the_open_card_and_the_one_under_the_hand_are_in_the_window(as_vera, account, small_windows):
    numbers = [dialog.number for dialog in waiting(account, 8, on_site=False)]
    assert sections(as_vera, open=numbers[4])["offline"].numbers == numbers[:5]
    assert sections(as_vera, under=numbers[5])["offline"].numbers == numbers[:6]
    assert "Not here any more" not in as_vera.get("/workspace/panel/", {"under": numbers[5]}).content.decode()
    assert sections(as_vera, open=numbers[7], under=numbers[6])["offline"].numbers == numbers


def test_own_dialogs_beyond_the_window_say_when_their_visitors_wrote(as_vera, vera, account, small_windows):
    dialogs = waiting(account, 5)
    for dialog in dialogs:
        assignment_by_hand.take(dialog.pk, vera, confirmed=True)
    people.write(dialogs[4].visitor, "Are you there?")
    shown = sections(as_vera)["mine"]
    assert (shown.numbers, shown.count) == ([dialog.number for dialog in dialogs[:3]], 5)
    said = Dialog.objects.get(pk=dialogs[4].pk).last_message_at
    assert shown.beyond[1][2] == str(int(said.timestamp() * 1000))


def test_other_operators_are_known_by_number_alone(as_vera, account, boris, small_windows):
    dialogs = waiting(account, 5)
    for dialog in dialogs:
        assignment_by_hand.take(dialog.pk, boris, confirmed=True)
    shown = sections(as_vera)["others"]
    assert (len(shown.numbers), shown.beyond) == (3, [[str(dialog.number)] for dialog in dialogs[3:]])


def test_windows_cost_one_question_more_however_much_they_hide(as_vera, vera, account, small_windows):
    def queries():
        Operator.objects.filter(pk=vera.pk).update(last_seen_at=timezone.now())  # or a sign of life is written beside
        with CaptureQueriesContext(connection) as captured:
            as_vera.get("/workspace/panel/")
        return len(captured)

    waiting(account, 2, on_site=False)
    few = queries()
    waiting(account, 3, on_site=False)
    assert queries() == few + 1
    waiting(account, 20, on_site=False)
    assert queries() == few + 1

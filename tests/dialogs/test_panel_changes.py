"""The left panel sends only what changed: whatever happens, a page that fills in what it has shows what a fresh panel shows."""

import random
import re
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from dialogs.actions import assignment_by_hand, conversation
from dialogs.actions.errors import Refused
from dialogs.models import Dialog, State, Visitor
from dialogs.reading import panel_rows
from dialogs.rules.sections import Section
from dialogs.views import card_html, panel_cursor
from operators.models import Department, Operator
from tests import people
from tests.panel_page import ITEM, PANEL, PanelPage

pytestmark = pytest.mark.django_db


class Workspace(PanelPage):
    """The page of a person who is signed in."""

    def __init__(self, person, *, language="en"):
        self.browser = Client(headers={"Accept-Language": language})
        self.browser.force_login(person)
        super().__init__(self.answer)

    def answer(self, address, about):
        answer = self.browser.get(address, about)
        return answer.content.decode(), answer.headers.get("X-Panel", "")


class World:
    """Everything that can change what some panel shows."""

    def __init__(self, account, seed):
        self.account, self.dice = account, random.Random(seed)
        self.anna = people.make_operator(account, "anna")
        self.vera = people.make_operator(account, "vera", role="supervisor")
        self.process = people.make_process()
        self.dialogs = []
        for _ in range(3):
            self.somebody_writes()

    def one(self, **having):
        found = list(Dialog.objects.filter(account=self.account, **having).order_by("pk"))
        return self.dice.choice(found) if found else None

    def somebody_writes(self):
        visitor = people.make_visitor(self.account, name=self.dice.choice(["Marina", "", "<b>Olga</b>"]))
        if self.dice.random() < 0.5:
            people.arrive(visitor, self.process)
        people.write(visitor, department=self.dice.choice(["support", "sales"]), language=self.dice.choice(["en", "ru"]))

    def somebody_writes_again(self):
        if dialog := self.one(state__in=(State.QUEUE, State.CHATTING)):
            people.write(dialog.visitor, self.dice.choice(["Are you there?", "&amp;"]))

    def somebody_comes(self):
        if dialog := self.one():
            people.arrive(dialog.visitor, self.process)

    def somebody_leaves(self):
        if dialog := self.one(visitor__is_present=True):
            people.depart(dialog.visitor, self.process)

    def anna_takes(self):
        if dialog := self.one(state=State.QUEUE, operator=None):
            assignment_by_hand.take(dialog.pk, self.anna, confirmed=True)

    def anna_answers(self):
        if dialog := self.one(state=State.CHATTING, operator=self.anna):
            conversation.answer(dialog.pk, self.anna, "Yes.", key=f"key-{self.dice.random()}")

    def vera_gives(self):
        if dialog := self.one(state__in=(State.QUEUE, State.CHATTING)):
            holder = self.anna if dialog.operator_id != self.anna.pk else self.vera
            assignment_by_hand.transfer_to_operator(dialog.pk, self.vera, holder.pk, confirmed=True)

    def vera_closes(self):
        if dialog := self.one(state__in=(State.QUEUE, State.CHATTING)):
            conversation.close_by_operator(dialog.pk, self.vera)

    def a_department_is_renamed(self):
        Department.objects.filter(account=self.account, slug="support").update(name=f"Support {self.dice.random():.3f}")

    def anna_is_renamed(self):
        Operator.objects.filter(pk=self.anna.pk).update(name=f"Anna {self.dice.random():.3f}")

    def a_visitor_tells_a_name(self):
        if dialog := self.one():
            Visitor.objects.filter(pk=dialog.visitor_id).update(name=f"Named {self.dice.random():.3f}")

    def annas_departments_change(self):
        departments = list(self.account.departments.all())
        self.anna.departments.set(self.dice.sample(departments, self.dice.randint(1, len(departments))))

    def the_usual_language_changes(self):
        for place, language in enumerate(self.dice.sample(list(self.account.languages.all()), 2)):
            language.position = place
            language.save()

    def the_account_moves(self):
        self.account.time_zone = self.dice.choice(["Europe/Moscow", "UTC", "Asia/Tokyo"])
        self.account.save()

    def the_cache_is_lost(self):
        cache.clear()

    def step(self):
        steps = [name for name in vars(World) if not name.startswith("_") and name not in {"one", "step"}]
        with suppress(Refused, PermissionDenied):  # it changes nothing then
            getattr(self, self.dice.choice(steps))()


@pytest.mark.parametrize("seed", range(8))
def test_any_changes_lead_to_what_a_fresh_panel_shows(account, other_account, seed, monkeypatch):
    if seed % 2:  # most dialogs are beyond the window of their section
        monkeypatch.setattr(panel_rows, "WINDOW", 2)
        monkeypatch.setattr(panel_rows, "ROWS", range(1, 1000))
    world = World(account, seed)
    people.start_dialog(other_account, name="Somebody else's")
    pages = [Workspace(world.anna), Workspace(world.vera, language="ru"), Workspace(world.vera)]
    for _ in range(30):
        for _ in range(world.dice.randint(1, 2)):
            world.step()
        for page in pages:
            if world.dice.random() < 0.1:
                page.windows[world.dice.choice(list(Section)).value] = world.dice.randint(1, 9)
            if world.dice.random() < 0.3:
                continue  # a hint that got lost
            number = world.one().number
            about = {"open": number} if world.dice.random() < 0.3 else {}
            page.read(**about)
            if not about:
                assert page.shown == page.fresh()
    assert not any("Somebody else" in html for page in pages for html in page.shown.values())


class TestWhatIsSent:
    @pytest.fixture
    def page(self, account, anna):
        self.dialogs = [people.start_dialog(account, name=f"Marina {number}") for number in range(3)]
        return Workspace(anna)

    def test_nothing_where_nothing_changed(self, page):
        assert page.read() == []
        assert page.read() == []

    def test_what_changed_and_what_is_new(self, page, account):
        people.write(self.dialogs[1].visitor, "Are you there?")
        new = people.start_dialog(account)
        assert page.read() == [f"card-{self.dialogs[1].number}", f"card-{new.number}"]
        assert "Are you there?" in page.shown["offline"]
        assert page.read() == []

    def test_what_is_gone_is_not_there(self, page, boris):
        assignment_by_hand.take(self.dialogs[0].pk, boris, confirmed=True)
        assert page.read() == []
        assert f"card-{self.dialogs[0].number}" not in page.cards

    def test_the_card_that_is_opened_and_the_one_that_was(self, page):
        assert page.read(open=self.dialogs[0].number) == [f"card-{self.dialogs[0].number}"]
        both = [f"card-{self.dialogs[0].number}", f"card-{self.dialogs[2].number}"]
        assert page.read(open=self.dialogs[2].number) == both

    @pytest.mark.parametrize("cursor", ["", "0" * 32, "x", "f" * 31, "a" * 5000, "%00", "ж" * 32, "../" * 10 + "ab", "٣" * 32])
    def test_a_cursor_that_names_nothing_brings_all(self, page, cursor):
        page.cursor = cursor
        assert len(page.read()) == 3
        assert page.shown == page.fresh()

    def test_a_cursor_of_somebody_else_brings_all(self, page, account):
        page.cursor = Workspace(people.make_operator(account, "vera", role="supervisor")).cursor
        answer = page.browser.get(PANEL, {"has": page.cursor}).content.decode()
        assert [card for card, html in ITEM.findall(answer) if not html] == []

    def test_a_cursor_that_is_too_old_brings_all(self, page):
        cache.clear()
        assert len(page.read()) == 3
        assert page.read() == []

    def test_a_dialog_that_moved_while_the_sections_were_read_is_sent_again(self, anna):
        """It stands in two of them then: the page knows one of the two, and the cursor must not say which."""
        twice = [card_html.CardHtml(7, html, f"7:{html}", "") for html in "ab"]
        cursor = panel_cursor.cursor_of(anna, [*twice, card_html.CardHtml(8, "c", "8:c", "")])
        assert panel_cursor.known_parts(anna, cursor) == {"8:c"}

    def test_what_is_kept_of_a_panel_is_no_data(self, page, anna):
        """Numbers and digests only, whoever can read the cache."""
        assert re.fullmatch(r"(\d+:[0-9a-f]{12} ?){3}", cache.get(f"panel:{anna.pk}:{page.cursor}"))

    def test_a_release_that_says_a_card_in_another_way_sends_it(self, page, monkeypatch):
        made = card_html.CardHtml
        card_html._kept.clear()
        monkeypatch.setattr(
            card_html, "CardHtml", lambda number, html, name, empty: made(number, html, f"{number}:{'0' * 12}", empty)
        )
        assert len(page.read()) == 3
        card_html._kept.clear()


class TestKeptHtml:
    def test_it_is_made_once_for_all_who_see_the_same(self, account, anna, boris, monkeypatch):
        people.start_dialog(account)
        Workspace(anna)
        monkeypatch.setattr(card_html, "get_template", lambda name: pytest.fail(f"{name} is rendered again"))
        Workspace(boris).read()

    def test_another_language_department_and_role_have_their_own(self, account, anna):
        people.start_dialog(account)
        support = account.departments.get(slug="support")
        vera = people.make_operator(account, "vera", role="supervisor")
        english, russian, supervisor = Workspace(anna), Workspace(anna, language="ru"), Workspace(vera)
        for page in (english, russian, supervisor):
            page.read()
        assert "answered" not in russian.shown["offline"]
        assert support.name in supervisor.shown["offline"]
        assert english.shown["offline"] != russian.shown["offline"]

    def test_memory_is_bounded(self, account, anna, monkeypatch):
        monkeypatch.setattr(card_html, "MOST_KEPT", 5)
        for _ in range(12):
            people.start_dialog(account)
        page = Workspace(anna)
        page.read()
        assert len(card_html._kept) == 5
        assert len(page.cards) == 12


def test_a_change_among_150_cards_is_small_on_the_wire(account):
    vera = people.make_operator(account, "vera", role="supervisor")
    dialogs = [people.start_dialog(account, name=f"Marina {number}") for number in range(150)]
    page = Workspace(vera)
    people.write(dialogs[75].visitor, "Are you there?")
    Operator.objects.filter(pk=vera.pk).update(last_seen_at=timezone.now() - timedelta(seconds=1))
    answer = page.browser.get(PANEL, {"has": page.cursor}, headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert len(answer.content) <= 2000
    first = page.browser.get("/workspace/", headers={"Accept-Encoding": "gzip"})
    assert len(first.content) <= 15_000
    assert panel_cursor.known_parts(vera, answer["X-Panel"])

"""The archive: who finds what, by words and filters, page by page; and what is said to a question that cannot be answered (Q13)."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from itertools import chain

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import answer, close_by_operator
from dialogs.models import Dialog, Message, MessageKind, Numbering, SearchText, State
from dialogs.reading import archive
from dialogs.reading.archive import Choices, Question, read
from operators.models import Account, Operator
from tests import people
from webim_offline.foundation.database.prepared import find_together

URL = "/workspace/archive/"


def found(client, status=200, **asked):
    """Numbers of the hits in the order of the page."""
    page = client.get(URL, asked)
    assert page.status_code == status
    return numbers(page)


def numbers(page):
    return [int(number) for number in re.findall(r'id="hit-(\d+)"', page.content.decode())]


def words(page):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.content.decode())).split())


@pytest.fixture
def as_anna(client, anna):
    client.force_login(anna)
    return client


@pytest.fixture
def as_vera(client, vera):
    client.force_login(vera)
    return client


class TestReading:
    """Rules without a database."""

    choices = Choices(departments=[7], languages=[3], operators=[5])

    def question(self, **given):
        return read({name: str(value) for name, value in given.items()}, self.choices)

    def test_nothing_asks_for_everything(self):
        assert read({}, self.choices) == Question()
        assert self.question(q="  ", since="", department="", unknown="x") == Question()

    def test_everything_at_once(self):
        given = {"since": "2026-01-31", "until": "2026-02-01", "department": 7, "language": 3, "operator": 5}
        given |= {"start_state": "offline", "current_state": "online", "state": "open"}
        assert self.question(q=" чай ", visitor_of=12, before=40, **given) == Question(
            text="чай",
            since=date(2026, 1, 31),
            until=date(2026, 2, 1),
            department=7,
            language=3,
            operator=5,
            start_state="offline",
            current_state="online",
            state="open",
            visitor_of=12,
            before=40,
        )

    @pytest.mark.parametrize(
        ("written", "text", "number", "only"),
        [
            ("#123", "123", 123, True),
            ("123", "123", 123, False),
            ("#", "#", None, False),
            ("№", "№", None, False),
            ("# 123", "123", 123, True),
            ("＃123", "123", 123, True),
            ("№123", "123", 123, False),
            ("№ 123", "123", 123, False),
            ("№\u00a0123", "123", 123, False),
            ("##123", "##123", None, False),
            ("#12 чай", "#12 чай", None, False),
            ("1" * 19, "1" * 19, None, False),
            ("١٢٣", "١٢٣", None, False),
        ],
    )
    def test_a_number_alone_may_be_a_dialogs(self, written, text, number, only):
        question = self.question(q=written)
        assert (question.text, question.number, question.only_number) == (text, number, only)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("q", "x" * 201),
            ("q", "a\x00b"),
            ("q", "😀"),
            ("q", "??? !!!"),
            ("q", "#"),
            ("q", "№"),
            ("q", "👨‍👩‍👧 — …"),
            ("since", "yesterday"),
            ("since", "2026-02-30"),
            ("since", "0001-01-01"),
            ("since", "9999-12-31"),
            ("since", "20260101"),
            ("since", "2026-W01-1"),
            ("until", "٢٠٢٦-٠١-٠١"),
            ("until", "\x00"),
            ("department", "8"),
            ("department", "support"),
            ("department", "-7"),
            ("department", "7" * 40),
            ("language", "en"),
            ("operator", "6"),
            ("operator", "5 OR 1=1"),
            ("start_state", "asleep"),
            ("current_state", "away"),
            ("state", "lost"),
            ("before", "x"),
            ("before", "-1"),
            ("before", "1e9"),
            ("before", "9" * 19),
            ("visitor_of", "\x00"),
        ],
    )
    def test_what_cannot_be_read_is_an_error_at_its_field_and_nowhere_else(self, name, value):
        errors = self.question(**{name: value}).errors
        assert list(errors) == [name]
        assert errors[name].endswith(".")

    def test_a_period_must_not_end_before_it_begins(self):
        assert list(self.question(since="2026-02-02", until="2026-02-01").errors) == ["until"]
        assert not self.question(since="2026-02-01", until="2026-02-01").errors

    @pytest.mark.parametrize("state", ["closed", "closed-all", "closed_by_visitor", "closed_by_operator"])
    def test_no_closed_dialog_is_online_or_offline_now(self, state):
        assert list(self.question(state=state, current_state="online").errors) == ["current_state"]

    @pytest.mark.parametrize("state", ["", "open", "queue", "chatting"])
    def test_every_open_one_is(self, state):
        assert not self.question(state=state, current_state="offline").errors

    def test_a_state_that_there_is_not_is_the_only_error_then(self):
        assert list(self.question(state="lost", current_state="online").errors) == ["state"]

    def test_the_longest_search_is_read(self):
        assert not self.question(q="x" * 200).errors


class TestWhoSeesWhat:
    def test_an_operator_finds_the_own_parts_and_the_own_dialogs(self, as_anna, account, anna):
        general = people.start_dialog(account, text="teapot", department="")
        support = people.start_dialog(account, text="teapot")
        sales = people.start_dialog(account, text="teapot", department="sales")
        german = people.start_dialog(people_with_german(account), text="teapot", language="de")
        Dialog.objects.filter(pk=sales.pk).update(operator=anna, state=State.CLOSED)
        hidden = people.start_dialog(account, text="teapot", department="sales")
        assert found(as_anna, q="teapots") == found(as_anna) == [sales.number, support.number, general.number]
        for number in (german.number, hidden.number):
            assert found(as_anna, q=f"#{number}") == []

    def test_a_supervisor_finds_all_of_the_account(self, as_vera, account):
        wanted = [people.start_dialog(account, text="teapot", department=name).number for name in ("", "support", "sales")]
        assert found(as_vera, q="teapot") == found(as_vera) == wanted[::-1]

    def test_nobody_finds_anything_of_another_account(self, as_vera, account, other_account):
        people.start_dialog(account, text="cup")
        theirs = people.start_dialog(other_account, text="teapot", name="Svetlana")
        more = people.start_dialog(other_account, text="teapot")
        assert found(as_vera, q="teapot") == found(as_vera, q="svetlana") == []
        assert found(as_vera, visitor_of=more.number) == found(as_vera, q=f"#{more.number}") == []
        page = as_vera.get(URL, {"department": theirs.department_id})
        assert page.status_code == 400
        assert "There is no such choice any more." in words(page)
        assert as_vera.get(URL, {"before": more.number}).status_code == 400
        people.make_operator(other_account, "olaf", name="Somebody Else")
        assert "Somebody Else" not in words(as_vera.get(URL))

    def test_email_only_dialogs_are_not_in_the_workspace_nor_in_its_archive(self, as_vera, account):
        Account.objects.filter(pk=account.pk).update(left_messages_email="left@north.example", left_messages_in_workspace=False)
        dialog = people.start_dialog(account, text="teapot")
        assert dialog.email_only
        assert found(as_vera) == found(as_vera, q="teapot") == found(as_vera, q=f"#{dialog.number}") == []

    def test_a_login_is_needed_and_support_staff_go_to_the_admin(self, client, account):
        assert client.get(URL).headers["Location"] == f"/accounts/login/?next={URL}"
        client.force_login(people.make_operator(None, "help"))
        assert client.get(URL).headers["Location"] == "/admin/"

    def test_only_supervisors_choose_an_operator(self, as_anna, client, anna, vera):
        assert 'name="operator"' not in as_anna.get(URL).content.decode()
        assert found(as_anna, 400, operator=anna.pk) == []
        client.force_login(vera)
        assert 'name="operator"' in client.get(URL).content.decode()

    def test_dialogs_that_a_section_hides_are_found(self, as_anna, account):
        Account.objects.filter(pk=account.pk).update(visible_offline_dialogs=1, visible_online_dialogs=1)
        people.start_dialog(account)
        hidden = people.start_dialog(account, text="teapot")
        other = people.start_dialog(account, text="teapot")
        Dialog.objects.filter(pk=other.pk).update(is_offline=False)
        panel = as_anna.get("/workspace/panel/")
        assert "And 1 more." in words(panel)
        (link,) = re.findall(r'href="([^"]+)">See them all', panel.content.decode())
        assert unescape(link) == f"{URL}?state=queue&current_state=offline"
        assert numbers(as_anna.get(unescape(link)))[0] == hidden.number
        Dialog.objects.filter(pk=other.pk).delete()
        assert found(as_anna, q="teapot") == found(as_anna, q="teapot", state="open") == [hidden.number]
        assert found(as_anna, q="teapot", state="closed-all") == []


def people_with_german(account):
    account.languages.create(code="de", position=9)
    return account


class TestFilters:
    def test_each_narrows_and_all_together(self, as_vera, account, anna, boris):
        def dialog(text, department="support", language="en", by=anna):
            made = people.start_dialog(account, text=text, department=department, language=language)
            take(made.pk, by)
            return made

        plain = dialog("tea")
        boris.departments.add(account.departments.get(slug="sales"))
        other = dialog("tea and sugar", department="sales", language="ru", by=boris)
        close_by_operator(plain.pk, anna)
        Dialog.objects.filter(pk=other.pk).update(start_state="online")
        sales, russian = account.departments.get(slug="sales").pk, account.languages.get(code="ru").pk
        assert found(as_vera, q="tea") == [other.number, plain.number]
        for asked in (
            {"department": sales},
            {"language": russian},
            {"operator": boris.pk},
            {"start_state": "online"},
            {"state": "open"},
            {"state": "chatting"},
            {"q": "sugar"},
        ):
            assert found(as_vera, **asked) == [other.number], asked
        for asked in ({"state": "closed-all"}, {"state": "closed_by_operator"}, {"start_state": "offline"}, {"operator": anna.pk}):
            assert found(as_vera, **asked) == [plain.number], asked
        everything = {"department": sales, "language": russian, "operator": boris.pk, "start_state": "online", "state": "open"}
        assert found(as_vera, q="tea sugar", **everything) == [other.number]
        assert found(as_vera, q="tea sugar", **everything | {"operator": anna.pk}) == []

    def test_the_current_state_is_of_open_dialogs_and_is_not_the_start_state(self, as_vera, account, anna):
        waiting, taken, closed, back = [people.start_dialog(account, text="tea") for _ in range(4)]
        take(taken.pk, anna)
        take(closed.pk, anna)
        close_by_operator(closed.pk, anna)
        Dialog.objects.filter(pk=back.pk).update(is_offline=False)
        Dialog.objects.filter(pk__in=[waiting.pk, taken.pk, closed.pk]).update(is_offline=True)
        assert found(as_vera, start_state="offline") == [back.number, closed.number, taken.number, waiting.number]
        assert found(as_vera, current_state="offline") == found(as_vera, q="tea", current_state="offline")
        assert found(as_vera, current_state="offline") == [taken.number, waiting.number]
        assert found(as_vera, current_state="online") == [back.number]
        assert found(as_vera, current_state="offline", state="queue") == [waiting.number]
        assert found(as_vera, current_state="offline", state="chatting") == [taken.number]
        page = as_vera.get(URL, {"current_state": "online"})
        assert "started offline online now" in words(page)
        assert '<option value="online" selected>' in page.content.decode()
        refused = as_vera.get(URL, {"current_state": "online", "state": "closed-all"})
        assert refused.status_code == 400
        assert "Only an open dialog is online or offline now." in words(refused)

    def test_days_are_the_accounts(self, as_vera, account):
        Account.objects.filter(pk=account.pk).update(time_zone="Asia/Yekaterinburg")  # UTC+5
        late, early = people.start_dialog(account), people.start_dialog(account)
        Dialog.objects.filter(pk=late.pk).update(created_at=datetime(2026, 3, 9, 19, 0, tzinfo=UTC))  # the 10th begins
        Dialog.objects.filter(pk=early.pk).update(created_at=datetime(2026, 3, 9, 18, 59, 59, tzinfo=UTC))
        assert found(as_vera, since="2026-03-10", until="2026-03-10") == [late.number]
        assert found(as_vera, until="2026-03-09") == [early.number]
        assert found(as_vera, since="2026-03-09", until="2026-03-10") == [late.number, early.number]
        assert "10 March 2026, 00:00" in words(as_vera.get(URL))

    def test_the_dialogs_of_one_visitor(self, as_vera, account, anna):
        visitor = people.make_visitor(account, name="Olga")
        first = people.start_dialog(account, visitor=visitor)
        Dialog.objects.filter(pk=first.pk).update(state=State.CLOSED)
        second = people.start_dialog(account, visitor=visitor)
        people.start_dialog(account, name="Olga")
        assert found(as_vera, visitor_of=first.number) == found(as_vera, visitor_of=second.number) == [second.number, first.number]
        assert found(as_vera, visitor_of=999) == []

    def test_a_number_is_found_first_and_words_of_digits_too(self, as_vera, account):
        first = people.start_dialog(account)
        says_so = people.start_dialog(account, text=f"It is about #{first.number} again, and {first.number}")
        assert found(as_vera, q=f"#{first.number}") == [first.number]
        for asked in ("{}", "№{}", "№ {}", "№\u00a0{}"):
            assert found(as_vera, q=asked.format(first.number)) == [first.number, says_so.number]
        for asked in ("# {}", "＃{}", " #{} "):
            assert found(as_vera, q=asked.format(first.number)) == [first.number]
        assert found(as_vera, q=str(first.number), state="closed-all") == []


class TestPages:
    def make(self, account, count, **columns):
        """`count` closed dialogs of one moment, each with one message."""
        template = people.start_dialog(account, text="teapot")
        columns = {"state": State.CLOSED, "wake_at": None, "waiting_since": None} | columns
        Dialog.objects.filter(pk=template.pk).update(**columns)
        template.refresh_from_db()
        visitors = people.make_visitors(account, count - 1)
        fields = [f.attname for f in Dialog._meta.concrete_fields if not f.primary_key]
        rows = []
        for place, visitor in enumerate(visitors):
            row = Dialog(**{name: getattr(template, name) for name in fields})
            row.number, row.visitor = template.number + 1 + place, visitor
            rows.append(row)
        Dialog.objects.bulk_create(rows)
        Numbering.objects.filter(account=account).update(last_number=rows[-1].number)
        text = template.messages.exclude(kind=MessageKind.SYSTEM).get()
        Message.objects.bulk_create(
            Message(dialog=row, kind=MessageKind.VISITOR, visitor=row.visitor, text=f"teapot {row.number}", at=text.at, revision=1)
            for row in rows
        )
        return [template.number, *(row.number for row in rows)]

    def walk(self, client, **asked):
        """The numbers of every page, from the newest on, by the link that leads on."""
        pages, url = [], f"{URL}?{'&'.join(f'{name}={value}' for name, value in asked.items())}"
        while url:
            page = client.get(url)
            pages.append(numbers(page))
            link = re.search(r'id="older" rel="next" href="([^"]+)"', page.content.decode())
            url = URL + unescape(link[1]) if link else ""
        return pages

    @pytest.mark.parametrize("asked", [{}, {"q": "teapots"}, {"q": "teapots", "state": "closed"}])
    def test_each_dialog_is_on_one_page_though_their_moments_are_equal(self, as_vera, account, asked):
        made = self.make(account, 2 * archive.PAGE + 5)
        pages = self.walk(as_vera, **asked)
        assert [len(page) for page in pages] == [30, 30, 5]
        assert [number for page in pages for number in page] == made[::-1]

    def test_a_page_that_is_just_full_is_the_last(self, as_vera, account):
        self.make(account, archive.PAGE)
        assert [len(page) for page in self.walk(as_vera)] == [30]

    @pytest.mark.parametrize("few", [2_000, 10])
    @pytest.mark.parametrize("newest", [(300, 5_000), (5, 40), (31,), ()])
    def test_common_words_are_found_in_the_same_order_whichever_way_is_taken(self, as_vera, account, monkeypatch, few, newest):
        made = self.make(account, 45)
        apart = self.make(account, 20, start_state="online")
        monkeypatch.setattr(archive, "FEW", few)
        monkeypatch.setattr(archive, "NEWEST", newest)
        assert list(chain(*self.walk(as_vera, q="teapot"))) == apart[::-1] + made[::-1]
        assert list(chain(*self.walk(as_vera, q="teapot", start_state="offline"))) == made[::-1]

    def test_a_dialog_in_parts_is_one_hit(self, as_vera, account):
        dialog = people.start_dialog(account, text="teapot", name="Svetlana")
        for part in range(6):
            text = " ".join(f"word{part}x{n}" for n in range(600)) + " teapot"
            Message.objects.create(dialog=dialog, kind="operator", text=text, at=dialog.created_at, revision=50 + part)
        assert SearchText.objects.count() > 1
        assert found(as_vera, q="teapot") == found(as_vera, q="svetlana") == [dialog.number]

    @pytest.mark.parametrize("before", ["999", "1000000000", "x", "-3", "1.5", "9" * 30])
    def test_a_page_that_is_not_there_leads_to_the_newest(self, as_vera, account, before):
        people.start_dialog(account)
        page = as_vera.get(f"{URL}?q=order&before={before}")
        assert page.status_code == 400
        assert numbers(page) == []
        assert 'href="?q=order"' in page.content.decode()
        assert 'value="order"' in page.content.decode()

    @pytest.mark.parametrize("who", ["anna", "vera"])
    @pytest.mark.parametrize("asked", [{}, {"q": "teapot"}, {"current_state": "offline"}])
    def test_a_page_takes_the_same_few_queries_whatever_it_finds(self, client, account, anna, vera, who, asked):
        client.force_login({"anna": anna, "vera": vera}[who])

        def queries():
            Operator.objects.update(last_seen_at=timezone.now())  # or a sign of life is written beside
            with CaptureQueriesContext(connection) as captured:
                assert client.get(URL, asked).status_code == 200
            return len(captured)

        people.start_dialog(account, text="teapot")
        few = queries()
        self.make(account, 100, **({"state": State.QUEUE, "is_offline": True} if "current_state" in asked else {}))
        assert queries() == few
        assert few <= 14


class TestWhatIsShown:
    def test_a_hit_says_who_where_when_and_what(self, as_vera, account, anna):
        dialog = people.start_dialog(account, name="Marina", text="I sent the teapot back", language="ru")
        take(dialog.pk, anna)
        answer(dialog.pk, anna, "The refund has left", key="k")
        close_by_operator(dialog.pk, anna)
        said = words(as_vera.get(URL, {"q": "teapots"}))
        assert f"#{dialog.number} Marina" in said
        assert "Support Russian Anna started offline closed by the operator" in said
        assert "I sent the teapot back" in said
        assert "<mark>teapot</mark> back" in as_vera.get(URL, {"q": "teapots"}).content.decode()
        assert "<mark>refund</mark>" in as_vera.get(URL, {"q": "refunds marina"}).content.decode()

    def test_the_message_with_all_the_words_is_shown_before_a_newer_one_with_some(self, as_vera, account, anna):
        dialog = people.start_dialog(account, text="The red teapot broke")
        take(dialog.pk, anna)
        answer(dialog.pk, anna, "Which teapot was it?", key="k")
        assert "<mark>red</mark> <mark>teapot</mark> broke" in as_vera.get(URL, {"q": "red teapots"}).content.decode()
        assert "Which <mark>teapot</mark>" in as_vera.get(URL, {"q": "teapots"}).content.decode()

    def test_contacts_are_shown_when_they_were_found(self, as_vera, account):
        people.start_dialog(
            account, visitor=people.make_visitor(account, name="Olga", email="olga@mail.example", phone="+7 999 123-45-67")
        )
        page = as_vera.get(URL, {"q": "8 999 123-45-67"}).content.decode()
        assert "<mark>+7 999 123-45-67</mark>" in page
        assert "<mark>Olga</mark>" in as_vera.get(URL, {"q": "olga"}).content.decode()
        assert 'class="hit-contacts"' not in as_vera.get(URL, {"q": "order"}).content.decode()

    @pytest.mark.parametrize(
        "text", ["<script>alert(1)</script> teapot", "<mark>teapot</mark>", "teapot \"'><img src=x onerror=alert(1)>"]
    )
    def test_no_text_becomes_active(self, as_vera, account, text):
        people.start_dialog(account, text=text, name="<b>Olga</b> teapot")
        for asked in ({"q": "teapot"}, {}, {"q": text[:200]}):
            page = as_vera.get(URL, asked).content.decode()
            assert not re.search(r"<(script>|img|b>)", page)
            assert "<mark><mark>" not in page
            assert page.count("<mark>") == page.count("</mark>")
            assert "&lt;b&gt;" in page

    def test_the_words_of_the_page_in_russian(self, as_vera, vera, account):
        Operator.objects.filter(pk=vera.pk).update(ui_language="ru")
        people.start_dialog(account, text="чайник", language="ru")
        said = words(as_vera.get(URL, {"q": "чайники"}))
        assert "Архив" in said
        assert "начат офлайн" in said

    def test_words_that_are_everywhere_are_said_to_be(self, as_vera, account):
        people.start_dialog(account)
        page = as_vera.get(URL, {"q": "the"})
        assert page.status_code == 400
        assert "Add a rarer one." in words(page)

    @pytest.mark.parametrize("asked", ["😀", "???", "—", "#"])
    def test_a_search_of_signs_says_what_it_needs(self, as_vera, account, asked):
        people.start_dialog(account, text="😀 — ???")
        page = as_vera.get(URL, {"q": asked})
        assert page.status_code == 400
        assert "There is neither a word nor a number in the search. Write a word" in words(page)
        assert "nearly every dialog" not in words(page)

    @pytest.mark.parametrize(
        ("text", "asked", "hit"),
        [
            ("Звоните +7 (912) 345-67-89 вечером", "89123456789", "7 (912) 345-67-89"),
            ("Herr Müller wartet", "muller", "Müller"),
            ("我想买红茶", "红茶", "红茶"),
            ("Пишите: lexus15@mail.example", "lexus", "lexus15"),
        ],
    )
    def test_what_matched_is_marked(self, as_vera, account, text, asked, hit):
        people.start_dialog(account, text=text)
        assert f"<mark>{hit}</mark>" in as_vera.get(URL, {"q": asked}).content.decode()

    @pytest.mark.parametrize(
        "asked",
        [
            {"q": "ы" * 10_000},
            {"since": "soon"},
            {"until": "2026-13-01"},
            {"department": "999999"},
            {"language": "x", "operator": "-1", "state": "?", "start_state": "<b>"},
        ],
    )
    def test_a_question_that_cannot_be_answered_leaves_the_page_usable(self, as_vera, account, asked):
        people.start_dialog(account)
        page = as_vera.get(URL, asked)
        assert page.status_code == 400
        html = page.content.decode()
        assert html.count('aria-invalid="true"') == len(asked) == html.count('class="field-error"')
        assert "Nothing was looked up." in words(page)
        assert numbers(as_vera.get(URL)) != []

    def test_empty_pages_say_the_next_step(self, as_vera, account):
        assert "No dialogs yet." in words(as_vera.get(URL))
        assert "Nothing found." in words(as_vera.get(URL, {"q": "teapot"}))


class TestOtherDialogsOfAVisitor:
    def dialogs(self, account, count, **submission):
        """Closed dialogs of one visitor and an open one, oldest first."""
        visitor = people.make_visitor(account, name="Olga")
        made = []
        for place in range(count):
            made.append(people.start_dialog(account, visitor=visitor, **submission))
            if place < count - 1:
                Dialog.objects.filter(pk=made[-1].pk).update(state=State.CLOSED, closed_at=made[-1].created_at)
        return made

    def listed(self, client, dialog):
        block = re.search(r'id="earlier".*?</section>', client.get(f"/workspace/{dialog.number}/").content.decode(), re.DOTALL)
        return [int(number) for number in re.findall(r"#(\d+)</a>", block[0])] if block else []

    def test_the_newest_ten_with_a_way_to_all(self, as_anna, account):
        made = self.dialogs(account, 13)
        assert self.listed(as_anna, made[-1]) == [dialog.number for dialog in made[-2:-12:-1]]
        page = as_anna.get(f"/workspace/{made[-1].number}/").content.decode()
        assert f'<a href="{URL}?visitor_of={made[-1].number}">All other dialogs: 12</a>' in page
        assert len(found(as_anna, visitor_of=made[-1].number)) == 13

    def test_a_closed_one_opens_and_names_the_others(self, as_anna, account):
        old, new = self.dialogs(account, 2)
        assert self.listed(as_anna, old) == [new.number]
        assert self.listed(as_anna, new) == [old.number]
        page = as_anna.get(f"/workspace/{old.number}/").content.decode()
        assert 'data-mode="closed"' in page
        assert "All other dialogs" not in page

    def test_only_those_one_may_see(self, as_anna, account, client, vera):
        (sales,) = self.dialogs(account, 1, department="sales")
        Dialog.objects.filter(pk=sales.pk).update(state=State.CLOSED)
        here = people.start_dialog(account, visitor=sales.visitor)
        assert self.listed(as_anna, here) == []
        client.force_login(vera)
        assert self.listed(client, here) == [sales.number]

    def test_a_visitor_without_others_has_no_such_block(self, as_anna, account):
        dialog = people.start_dialog(account)
        assert 'id="earlier"' not in as_anna.get(f"/workspace/{dialog.number}/").content.decode()

    def test_one_query(self, account, anna, django_assert_num_queries):
        made = self.dialogs(account, 12)
        with django_assert_num_queries(1):
            (found,) = find_together(archive.earlier(made[-1], anna))
            assert len(found) == 10


def test_dialogs_begun_in_the_future_of_a_clock_stepped_back_are_in_the_archive(as_vera, account):
    """Z3: the clock of the database may have been set back since."""
    dialog = people.start_dialog(account)
    Dialog.objects.filter(pk=dialog.pk).update(created_at=timezone.now() + timedelta(days=1))
    assert found(as_vera) == [dialog.number]

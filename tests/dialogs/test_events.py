"""Events: each kind has a class, what is written is read again, old rows stay readable, and unknown ones break nothing."""

import ast
import json
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib import import_module
from types import UnionType
from typing import get_args, get_origin, get_type_hints

import pytest
from django.apps import apps
from django.db import connection
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialogs import events
from dialogs.actions.record import Record
from dialogs.actions.visitors import Contacts
from dialogs.event_classes import CLASSES
from dialogs.events import ConfirmedWarning, ContactField, InvalidEvent, LetterStatus, Queue, TransferTarget
from dialogs.models import DeliveryStatus, Dialog, DialogEvent, EventKind
from dialogs.reading.queues import Section
from dialogs.reading.sentences import SENTENCES, sentence_of
from dialogs.reading.timeline import lines_of, timeline
from notifications.models import OutgoingEmail
from notifications.tasks import write_letters
from tests import people
from tests.test_architecture import modules, parsed
from webim_offline.foundation.database.clock import database_now

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
UNKNOWN = "Something happened that this version of the program does not know."

EXAMPLES = [
    events.Started(queue=Queue.GENERAL, has_token=True),
    events.VisitorWrote(),
    events.OperatorWrote(),
    events.ContactsLeft(fields=(ContactField.NAME, ContactField.OWN)),
    events.Reopened(queue=Queue.OFFLINE),
    events.PickedUp(warned=(ConfirmedWarning.AT_LIMIT,), from_operator_id=7, from_operator_name="Борис"),
    events.Assigned(operator_id=7, operator_name="Борис"),
    events.Unassigned(operator_id=7, operator_name="Борис", reason=events.UnassignedReason.NOT_THEIRS, queue=Queue.GENERAL),
    events.Transferred(
        to=TransferTarget.OPERATOR,
        operator_id=7,
        operator_name="Борис",
        from_name="Анна",
        from_department="Support",
        warned=(ConfirmedWarning.NOT_ONLINE, ConfirmedWarning.NOT_SPOKEN),
    ),
    events.Transferred(to=TransferTarget.DEPARTMENT, department="Sales", queue=Queue.OFFLINE),
    events.Transferred(to=TransferTarget.QUEUE, queue=Queue.GENERAL),
    events.VisitorLeft(),
    events.VisitorCameBack(away=0, queue=Queue.GENERAL),
    events.LeftNotice(away=120),
    events.WentOffline(away=1320, limit=300, queue=Queue.OFFLINE),
    events.Returned(),
    events.TokenSet(queue=Queue.GENERAL),
    events.TokenRemoved(reason=events.TokenLossReason.MOVED, is_away=False),
    events.EnteredWorkspace(undelivered=LetterStatus.NO_ADDRESS, detail="", queue=Queue.OFFLINE),
    events.LetterStatusChanged(
        key="4:first:0a", recipient="left@north.example", status=LetterStatus.REFUSED, after=3, detail="550 no such user"
    ),
    events.ClosedByVisitor(),
    events.ClosedByOperator(),
    events.ClosedByTime(after=2_592_000),
    events.ClosedBySilence(after=259_200),
    events.ClosedForGood(after=600),
]

# What the release before the classes wrote of each kind, letter for letter, and what it says.
OLD_ROWS = [
    ("started", '{"to": "general", "has_token": true}', events.Started(queue=Queue.GENERAL, has_token=True)),
    ("started", '{"to": "offline"}', events.Started(queue=Queue.OFFLINE)),
    ("started", "{}", events.Started()),
    ("visitor_wrote", "{}", events.VisitorWrote()),
    ("operator_wrote", "{}", events.OperatorWrote()),
    ("picked_up", "{}", events.PickedUp()),
    (
        "picked_up",
        '{"warned": ["at_limit"], "operator": 7, "who": "Boris"}',
        events.PickedUp(warned=(ConfirmedWarning.AT_LIMIT,), from_operator_id=7, from_operator_name="Boris"),
    ),
    ("assigned", '{"operator": 7, "who": "Boris"}', events.Assigned(operator_id=7, operator_name="Boris")),
    (
        "unassigned",
        '{"operator": 7, "who": "Boris", "reason": "not_picked_up", "to": "offline"}',
        events.Unassigned(operator_id=7, operator_name="Boris", reason=events.UnassignedReason.NOT_PICKED_UP, queue=Queue.OFFLINE),
    ),
    (
        "transferred",
        '{"from": "Anna", "from_department": "Support", "to": "operator", "operator": 7, "who": "Boris", "warned": []}',
        events.Transferred(
            to=TransferTarget.OPERATOR, operator_id=7, operator_name="Boris", from_name="Anna", from_department="Support"
        ),
    ),
    (
        "transferred",
        '{"from_department": "Support", "to": "department", "department": "Sales", "queue": "general"}',
        events.Transferred(to=TransferTarget.DEPARTMENT, department="Sales", queue=Queue.GENERAL, from_department="Support"),
    ),
    (
        "transferred",
        '{"from": "Anna", "to": "queue", "queue": "offline"}',
        events.Transferred(to=TransferTarget.QUEUE, queue=Queue.OFFLINE, from_name="Anna"),
    ),
    ("reopened", '{"who": "Anna"}', events.Reopened(operator_name="Anna")),
    ("reopened", '{"to": "offline"}', events.Reopened(queue=Queue.OFFLINE)),
    ("visitor_left", "{}", events.VisitorLeft()),
    ("visitor_came_back", "{}", events.VisitorCameBack()),
    ("visitor_came_back", '{"to": "general", "away": 12}', events.VisitorCameBack(away=12, queue=Queue.GENERAL)),
    ("left_notice", '{"away": 120}', events.LeftNotice(away=120)),
    ("left_notice", "{}", events.LeftNotice()),
    (
        "went_offline",
        '{"away": 1320, "limit": 300, "to": "offline"}',
        events.WentOffline(away=1320, limit=300, queue=Queue.OFFLINE),
    ),
    ("went_offline", "{}", events.WentOffline()),
    ("returned", "{}", events.Returned()),
    ("token_set", '{"to": "general"}', events.TokenSet(queue=Queue.GENERAL)),
    ("token_set", "{}", events.TokenSet()),
    (
        "token_removed",
        '{"reason": "invalid", "away": true}',
        events.TokenRemoved(reason=events.TokenLossReason.INVALID, is_away=True),
    ),
    ("contacts_left", '{"fields": ["email"]}', events.ContactsLeft(fields=(ContactField.EMAIL,))),
    ("contacts_left", "{}", events.ContactsLeft()),
    ("entered_workspace", '{"to": "general"}', events.EnteredWorkspace(queue=Queue.GENERAL)),
    (
        "entered_workspace",
        '{"undelivered": "no_address", "detail": "", "to": "offline"}',
        events.EnteredWorkspace(undelivered=LetterStatus.NO_ADDRESS, detail="", queue=Queue.OFFLINE),
    ),
    ("entered_workspace", '{"why": "550 no such user"}', events.EnteredWorkspace()),
    (
        "delivery",
        '{"key": "k", "recipient": "left@north.example", "status": "queued", "after": 0}',
        events.LetterStatusChanged(key="k", recipient="left@north.example", status=LetterStatus.QUEUED, after=0),
    ),
    (
        "delivery",
        '{"key": "no-address", "recipient": "", "status": "no_address", "after": 0}',
        events.LetterStatusChanged(key="no-address", recipient="", status=LetterStatus.NO_ADDRESS, after=0),
    ),
    ("closed_by_visitor", "{}", events.ClosedByVisitor()),
    ("closed_by_operator", "{}", events.ClosedByOperator()),
    ("closed_by_time", '{"after": 2592000}', events.ClosedByTime(after=2_592_000)),
    ("closed_by_silence", '{"after": 259200}', events.ClosedBySilence(after=259_200)),
    ("closed_for_good", '{"after": 600}', events.ClosedForGood(after=600)),
    ("closed_for_good", "{}", events.ClosedForGood()),
]

# The fields without which the sentences of the release before raise KeyError, and what they are needed for.
NEEDED_BY_THE_FORMER_RELEASE = {
    "assigned": lambda data: {"who"},
    "unassigned": lambda data: {"who", "reason"},
    "transferred": lambda data: {"to", *{"operator": ("who",), "department": ("department",)}.get(data.get("to"), ())},
    "token_removed": lambda data: {"reason", "away"},
    "entered_workspace": lambda data: {"detail"} if "undelivered" in data else set(),
    "delivery": lambda data: {"key", "status", "recipient", "after"},
}


def named(event):
    return type(event).__name__


# ----- each kind has what it needs -----


def test_every_kind_has_a_class_a_sentence_and_an_example():
    """Who adds a kind adds these, an old row as soon as a release has written it, and its sentence to test_sentences.py."""
    assert set(CLASSES) == set(EventKind.values)
    assert all(cls.kind == kind for kind, cls in CLASSES.items())
    assert set(SENTENCES) == {*CLASSES.values(), events.Unknown}
    assert {type(example) for example in EXAMPLES} == set(CLASSES.values())
    assert {kind for kind, _data, _event in OLD_ROWS} == set(EventKind.values)


def test_the_codes_are_those_of_the_rest_of_the_program():
    assert {queue: queue.value for queue in Queue} == {Queue.GENERAL: Section.GENERAL, Queue.OFFLINE: Section.OFFLINE}
    assert set(LetterStatus) == set(DeliveryStatus.values)
    assert {one.value for one in ContactField} == {one.name for one in fields(Contacts)}


def test_nobody_looks_into_the_stored_data():
    """Readers get `details`; rows are made by Record, and read by the model itself."""
    own = {"dialogs/models/event.py", "dialogs/actions/record.py"}
    found = []
    for module in modules():
        if module in own or "/migrations/" in module or not module.startswith(("dialogs/", "notifications/")):
            continue
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.Attribute) and node.attr == "data" and ast.unparse(node.value) in {"event", "row", "started"}:
                found.append(f"{module}:{node.lineno}")
            if isinstance(node, ast.keyword | ast.Constant) and "data__" in str(getattr(node, "arg", getattr(node, "value", ""))):
                found.append(f"{module}:{node.lineno}")
    assert found == []


# ----- what is written is read again -----


@pytest.mark.parametrize("event", EXAMPLES, ids=named)
def test_an_event_is_read_as_it_was_written(event):
    stored = json.loads(json.dumps(event.to_data()))
    assert stored == event.to_data(), "nothing but what JSON knows"
    assert events.read_strictly(event.kind, stored) == event


@pytest.mark.django_db
def test_every_kind_survives_the_database(account):
    dialog = people.start_dialog(account)
    assert written(dialog, EXAMPLES) == EXAMPLES


def written(dialog, what):
    """The events as they are read after a Record has written them."""
    dialog.refresh_from_db()
    before, record = dialog.revision, Record(database_now())
    for event in what:
        record.event(dialog, event, record.now)
    record.write([dialog])
    rows = dialog.events.filter(revision__gt=before).order_by("revision")
    return [events.read_strictly(row.kind, row.data) for row in rows]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


def values(declared):
    """Any value of a declared type."""
    if get_origin(declared) is UnionType:
        return st.none() | st.one_of(*(values(one) for one in get_args(declared) if one is not type(None)))
    if get_origin(declared) is tuple:
        return st.lists(values(get_args(declared)[0]), max_size=4).map(tuple)
    if issubclass(declared, StrEnum):
        return st.sampled_from(list(declared))
    return {int: st.integers(-(2**40), 2**40), bool: st.booleans(), str: TEXTS}[declared]


def any_of(cls):
    """Any event of a class."""

    def is_possible(given):
        try:
            cls(**given)
        except InvalidEvent:
            return False
        return True

    arguments = {name: values(declared) for name, declared in get_type_hints(cls).items() if name in cls.__slots__}
    return st.fixed_dictionaries(arguments).filter(is_possible).map(lambda given: cls(**given))


ANY = st.one_of(*(any_of(cls) for cls in CLASSES.values()))


@given(event=ANY)
def test_whatever_a_field_holds_is_read_again(event):
    stored = json.loads(json.dumps(event.to_data()))
    assert events.read_strictly(event.kind, stored) == event
    assert events.read(event.kind, stored) == event


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(what=st.lists(ANY, max_size=12))
def test_whatever_a_field_holds_survives_the_database(account, what):
    dialog = Dialog.objects.first() or people.start_dialog(account)
    assert written(dialog, what) == what


@given(event=ANY)
def test_whatever_a_field_holds_has_a_sentence(event):
    row = DialogEvent(kind=event.kind, data=event.to_data(), at=NOON)
    if not isinstance(event, events.Started):  # it tells of its dialog, too
        with translation.override("en"):
            assert sentence_of(row, people_reader()) not in {"", UNKNOWN}


def people_reader():
    return apps.get_model("operators", "Operator")(pk=1, account_id=1, name="Vera")


# ----- what is wrong is refused -----

WRONG = [None, True, 1, 1.5, "x", b"x", [], ["x"], (), ("x",), {}, {"x": 1}, datetime.now(UTC)]


def fits(declared, value):
    """Whether a value in Python has the declared type, exactly."""
    if get_origin(declared) is UnionType:
        return any(fits(one, value) for one in get_args(declared))
    if get_origin(declared) is tuple:
        return type(value) is tuple and all(fits(get_args(declared)[0], one) for one in value)
    return type(value) is declared


FIELDS = [(cls, one) for cls in CLASSES.values() for one in fields(cls)]


@pytest.mark.parametrize(("cls", "one"), FIELDS, ids=lambda value: getattr(value, "name", None) or value.__name__)
class TestStrictness:
    def example(self, cls):
        return next(example for example in EXAMPLES if type(example) is cls)

    def test_a_wrong_type_is_refused_when_written(self, cls, one):
        declared = get_type_hints(cls)[one.name]
        given = {field.name: getattr(self.example(cls), field.name) for field in fields(cls)}
        for value in WRONG:
            if fits(declared, value):
                continue
            with pytest.raises(InvalidEvent, match=f"^{cls.kind}: "):
                cls(**given | {one.name: value}).to_data()

    def test_a_wrong_type_is_refused_when_read(self, cls, one):
        stored = one.metadata.get("stored", one.name)
        codes = get_origin(get_type_hints(cls)[one.name]) is tuple
        right = {str: (str,), int: (int,), bool: (bool,)}.get(plain(get_type_hints(cls)[one.name]), ())
        for value in WRONG:
            if type(value) in right or (codes and value == []):
                continue
            data = self.example(cls).to_data() | {stored: value}
            with pytest.raises(InvalidEvent, match=rf"^{cls.kind}: {stored}: "):
                events.read_strictly(cls.kind, data)
            assert events.read(cls.kind, data) == events.UNKNOWN

    def test_without_it_a_required_field_is_missed(self, cls, one):
        data = self.example(cls).to_data()
        stored = one.metadata.get("stored", one.name)
        if one.default is not MISSING:
            return
        del data[stored]
        with pytest.raises(InvalidEvent, match=f"^{cls.kind}: {stored} is missing$"):
            events.read_strictly(cls.kind, data)


def plain(declared):
    """The one type of an optional field."""
    return next((one for one in get_args(declared) if one is not type(None)), declared)


@pytest.mark.parametrize("event", EXAMPLES, ids=named)
def test_an_unknown_field_is_refused(event):
    with pytest.raises(TypeError):
        type(event)(surprise=1)
    with pytest.raises(InvalidEvent, match=f"^{event.kind}: unknown field surprise$"):
        events.read_strictly(event.kind, event.to_data() | {"surprise": 1})


@pytest.mark.parametrize("data", [None, [], "x", 1, [["to", "general"]]])
def test_data_that_is_no_object_is_refused(data):
    with pytest.raises(InvalidEvent, match="is not a JSON object"):
        events.read_strictly("started", data)


def test_an_unknown_kind_is_refused_and_what_is_unknown_cannot_be_written():
    with pytest.raises(InvalidEvent, match="no kind of event 'robot_answered'"):
        events.read_strictly("robot_answered", {})
    with pytest.raises(InvalidEvent):
        events.UNKNOWN.to_data()


def test_the_former_name_of_a_field_and_the_new_one_together_are_refused():
    with pytest.raises(InvalidEvent, match="unknown field to"):
        events.read_strictly("started", {"queue": "general", "to": "general"})


def test_what_a_transfer_and_a_failed_letter_cannot_be_is_refused():
    for given_fields in ({"to": TransferTarget.OPERATOR}, {"to": TransferTarget.DEPARTMENT}):
        with pytest.raises(InvalidEvent):
            events.Transferred(**given_fields)
    for status in (LetterStatus.QUEUED, LetterStatus.ACCEPTED):
        with pytest.raises(InvalidEvent):
            events.EnteredWorkspace(undelivered=status)


@pytest.mark.django_db
def test_nothing_is_written_of_a_wrong_event(account):
    dialog = people.start_dialog(account)
    record = Record(database_now())
    with pytest.raises(InvalidEvent, match=r"^left_notice: away: 1\.5 is not of type int$"):
        record.event(dialog, events.LeftNotice(away=1.5), record.now)
    assert record.events == []


# ----- rows of former releases -----


@pytest.mark.parametrize(("kind", "data", "event"), OLD_ROWS)
def test_old_rows_stay_readable(kind, data, event):
    assert events.read_strictly(kind, json.loads(data)) == event


@pytest.mark.parametrize("event", EXAMPLES, ids=named)
def test_the_former_release_can_read_what_this_one_writes(event):
    """While a release is installed, and after a rollback: a missing field would be a page that fails there."""
    data = event.to_data()
    assert NEEDED_BY_THE_FORMER_RELEASE.get(event.kind, lambda data: set())(data) <= set(data)


def stored_rows(dialog):
    return [(row.kind, row.data) for row in dialog.events.order_by("revision")]


@pytest.fixture
def old_rows(account):
    """A dialog with all old rows, as the database holds them."""
    dialog = people.start_dialog(account)
    dialog.events.all().delete()
    at = database_now()
    DialogEvent.objects.bulk_create(
        DialogEvent(account=account, dialog=dialog, kind=kind, at=at, data=json.loads(data), revision=n, handled_at=at)
        for n, (kind, data, _event) in enumerate(OLD_ROWS, start=10)
    )
    return dialog


@pytest.mark.django_db(transaction=True)
class TestTheMigration:
    migration = import_module("dialogs.migrations.0010_event_queue")

    def run(self, function):
        with connection.schema_editor(atomic=False) as editor:
            function(apps, editor)

    def test_to_means_the_target_of_a_transfer_and_nothing_else(self, old_rows, monkeypatch):
        monkeypatch.setattr(self.migration, "AT_ONCE", 3)
        before = stored_rows(old_rows)
        self.run(self.migration.to_queue)
        after = stored_rows(old_rows)
        assert after == [
            (kind, data if kind == "transferred" else {"queue" if key == "to" else key: value for key, value in data.items()})
            for kind, data in before
        ]
        assert {kind for kind, data in after if "to" in data} == {"transferred"}
        assert [row.details for row in old_rows.events.order_by("revision")] == [event for _, _, event in OLD_ROWS]
        self.run(self.migration.to_queue)
        assert stored_rows(old_rows) == after, "an interrupted attempt can be repeated"
        self.run(self.migration.back_to_to)
        assert stored_rows(old_rows) == before

    def test_it_touches_every_kind_that_had_the_former_name(self):
        former = {cls.kind for cls in CLASSES.values() if any(one.former == "to" for one in cls.stored_fields)}
        assert set(self.migration.KINDS) == former


# ----- rows of a newer release, after a rollback -----


def newer_rows(dialog, *what):
    """What a release that knows more has written: (kind, data) of each."""
    dialog.refresh_from_db()
    at = database_now()
    DialogEvent.objects.bulk_create(
        DialogEvent(account_id=dialog.account_id, dialog=dialog, kind=kind, at=at, data=data, revision=dialog.revision + n)
        for n, (kind, data) in enumerate(what, start=1)
    )
    Dialog.objects.filter(pk=dialog.pk).update(revision=dialog.revision + len(what))


NEWER = [("robot_answered", {"model": "tea-4"}), ("picked_up", {"device": "watch"}), ("delivery", {"status": "read"})]


@pytest.mark.django_db
class TestANewerRelease:
    @pytest.mark.parametrize(("language", "sentence"), [("en", UNKNOWN), ("ru", None)])
    def test_its_rows_are_one_line_of_the_timeline(self, account, anna, language, sentence):
        dialog = people.start_dialog(account)
        newer_rows(dialog, *NEWER)
        with translation.override(language):
            told = [line.sentence for line in timeline(Dialog.objects.get(pk=dialog.pk), anna).lines]
        assert len(told) == 1
        assert sentence is None or told == [sentence]

    def test_they_are_told_at_their_place_and_part_what_stands_around_them(self, account, anna):
        def row(minute, kind, **data):
            return DialogEvent(kind=kind, data=data, at=NOON + timedelta(minutes=minute))

        rows = [
            row(0, "visitor_wrote"),
            row(1, "robot_answered"),
            row(4, "visitor_wrote", mood="glad"),
            row(5, "visitor_left"),
            row(6, "robot_answered"),
            row(7, "visitor_came_back", away=120),
            row(8, "delivery", key="k", recipient="a@x.example", status="accepted", after=0, opened=True),
            row(9, "delivery", key="k", recipient="a@x.example", status="accepted", after=60),
        ]
        with translation.override("en"):
            told = [(line.at - NOON, line.sentence.replace("\u00a0", " ")) for line in lines_of(rows, anna)]
            until = lines_of(rows, anna)[1].until
        assert [(at // timedelta(minutes=1), sentence) for at, sentence in told] == [
            (0, "The visitor wrote again."),
            (1, UNKNOWN),
            (5, "The visitor left the site."),
            (6, UNKNOWN),
            (7, "The visitor came back after 2 minutes."),
            (8, UNKNOWN),
            (9, "The mail server accepted the letter after 1 minute: a@x.example."),
        ]
        assert until == NOON + timedelta(minutes=4)

    def test_a_start_that_is_not_understood_leaves_the_dialogs_own_start(self, account, anna):
        dialog = people.start_dialog(account)
        dialog.events.update(data={"queue": "general", "channel": "voice"})
        with translation.override("en"):
            shown = timeline(Dialog.objects.get(pk=dialog.pk), anna)
        assert shown.start.sentence.startswith("Started offline: ")
        assert [line.sentence for line in shown.lines] == [UNKNOWN]

    def test_every_page_shows_them(self, account, anna, vera, client):
        dialog = people.start_dialog(account)
        newer_rows(dialog, *NEWER)
        client.force_login(vera)
        pages = (
            f"/workspace/{dialog.number}/",
            f"/workspace/{dialog.number}/history/",
            f"/admin/dialogs/dialog/{dialog.pk}/change/",
        )
        for page in pages:
            response = client.get(page)
            assert response.status_code == 200, page
            assert UNKNOWN in response.content.decode(), page

    def test_letters_are_written_as_ever(self, account):
        account.left_messages_email = "left@north.example"
        account.save(update_fields=["left_messages_email"])
        dialog = people.start_dialog(account, text="Is there any oolong?")
        newer_rows(dialog, *NEWER)
        past = database_now() - timedelta(minutes=1)
        dialog.events.update(at=past)
        dialog.duties.update(due_at=past, since=past)
        write_letters()
        letter = OutgoingEmail.objects.get(dialog=dialog)
        assert "Is there any oolong?" in letter.text

    def test_work_on_the_dialog_goes_on(self, account, anna):
        dialog = people.start_dialog(account)
        newer_rows(dialog, *NEWER)
        people.write(dialog.visitor, "Are you there?")
        assert dialog.events.order_by("revision").last().details == events.VisitorWrote()
        assert str(dialog.events.filter(kind="robot_answered").get()) == "robot_answered"

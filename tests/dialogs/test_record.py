"""What a Record writes: whatever was changed in its dialogs, and nothing that they do not know."""

from datetime import timedelta

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from dialogs.actions.record import Record
from dialogs.events import Started, VisitorCameBack
from dialogs.models import Dialog, State
from operators.models import Department, Language
from tests import people
from webim_offline.foundation.database.clock import database_now

FIELDS = [field for field in Dialog._meta.concrete_fields if not field.primary_key]
NAMES = [field.attname for field in FIELDS]


@pytest.fixture
def dialog(account, anna):
    """One that anna has, so that no constraint forbids a change."""
    return free_of_constraints(people.start_dialog(account), anna)


def free_of_constraints(dialog, holder):
    Dialog.objects.filter(pk=dialog.pk).update(operator=holder, state=State.CHATTING, from_app=True, is_offline=False)
    return Dialog.objects.get(pk=dialog.pk)


def other_value(dialog, field):
    """Another value that the field can hold, and the name of its attribute."""
    now = getattr(dialog, field.attname)
    related = {
        "account": lambda: people.make_account().pk,
        "visitor": lambda: people.make_visitor(dialog.account).pk,
        "department": lambda: Department.objects.get(account=dialog.account, slug="sales").pk,
        "language": lambda: Language.objects.get(account=dialog.account, code="ru").pk,
        "continues": lambda: people.start_dialog(dialog.account).pk,
        "operator": lambda: people.make_operator(dialog.account).pk,
    }
    if field.name in related:
        return related[field.name]()
    if field.choices:
        return next(value for value, _ in field.choices if value != now)
    if isinstance(field, models.BooleanField):
        return not now
    if isinstance(field, models.DateTimeField):
        return database_now() - timedelta(days=1)
    if isinstance(field, models.JSONField):
        return {"changed": ["a", 1]}
    return now + 1000 if isinstance(field, models.IntegerField) else f"another {field.name}"


@pytest.mark.parametrize("field", FIELDS, ids=NAMES)
@pytest.mark.parametrize("recorded", [False, True], ids=["passed", "recorded"])
def test_every_changed_field_is_stored(dialog, field, recorded):
    locked = Dialog.objects.get(pk=dialog.pk)
    record, value = Record(database_now()), other_value(dialog, field)
    setattr(locked, field.attname, value)
    if recorded:
        record.event(locked, VisitorCameBack(), record.now)
        record.write()
    else:
        record.write([locked])
    stored, expected = Dialog.objects.get(pk=dialog.pk), {name: getattr(dialog, name) for name in NAMES}
    expected |= {"revision": dialog.revision + recorded, field.attname: value + recorded if field.name == "revision" else value}
    assert {name: getattr(stored, name) for name in NAMES} == expected


NOT_REVISION = [field for field in FIELDS if field.name != "revision"]  # every event changes that one, so it is always loaded


@pytest.mark.parametrize("field", NOT_REVISION, ids=[field.name for field in NOT_REVISION])
def test_a_field_that_was_not_loaded_is_never_overwritten(dialog, field):
    """What another transaction stored in it stays, whatever else the record writes of this dialog and of others."""
    fields = [other.name for other in FIELDS if other is not field]
    partly = Dialog.objects.only(*fields).get(pk=dialog.pk)
    whole = free_of_constraints(people.start_dialog(dialog.account), dialog.operator)
    value = other_value(dialog, field)
    Dialog.objects.filter(pk=dialog.pk).update(**{field.attname: value})
    record = Record(database_now())
    setattr(whole, field.attname, other_value(whole, field))
    for changed in (partly, whole):
        changed.revision += 1
        if field.name != "page_url":
            changed.page_url = "https://shop.example/changed"
    record.write([partly, whole])
    assert getattr(Dialog.objects.get(pk=dialog.pk), field.attname) == value
    assert Dialog.objects.get(pk=dialog.pk).revision == partly.revision


def test_dialogs_with_different_changes_are_written_in_few_statements(account):
    rows = [people.start_dialog(account) for _ in range(6)]
    loaded = [*Dialog.objects.filter(pk__in=[row.pk for row in rows[:4]]).order_by("pk")]
    loaded += Dialog.objects.filter(pk__in=[row.pk for row in rows[4:]]).only("revision", "visitor_id", "account_id").order_by("pk")
    for place, dialog in enumerate(loaded):
        dialog.revision += place
        if place % 2:
            dialog.last_text = f"Text {place}"
        if place == 3:
            dialog.closes_at = dialog.created_at
    record = Record(database_now())
    with CaptureQueriesContext(connection) as captured:
        record.write(loaded)
    # of equally loaded dialogs each kind: three, because two of the four partly loaded ones were given a text
    assert len(captured) <= 3, [query["sql"] for query in captured]
    for place, before in enumerate(rows):
        after = Dialog.objects.get(pk=before.pk)
        assert after.revision == before.revision + place
        assert after.last_text == (f"Text {place}" if place % 2 else before.last_text)
        assert after.closes_at == (before.created_at if place == 3 else before.closes_at)


def test_an_unchanged_dialog_is_not_written(dialog):
    dialog.state = State(dialog.state)
    record = Record(database_now())
    with CaptureQueriesContext(connection) as captured:
        record.write([dialog])
    assert not captured.captured_queries


def test_what_one_record_wrote_the_next_one_does_not_write_again(dialog):
    """In between somebody else may have changed it."""
    dialog.page_title = "First"
    Record(database_now()).write([dialog])
    Dialog.objects.filter(pk=dialog.pk).update(page_title="Second")
    dialog.page_url = "https://shop.example/new"
    Record(database_now()).write([dialog])
    stored = Dialog.objects.get(pk=dialog.pk)
    assert (stored.page_title, stored.page_url) == ("Second", "https://shop.example/new")


def test_json_changed_in_place_is_stored(dialog):
    dialog.passed_over["7"] = "2026-01-01T00:00:00+00:00"
    Record(database_now()).write([dialog])
    assert Dialog.objects.get(pk=dialog.pk).passed_over == {"7": "2026-01-01T00:00:00+00:00"}


def test_a_deferred_field_is_known_once_it_was_read(dialog):
    partly = Dialog.objects.only("revision").get(pk=dialog.pk)
    assert partly.page_title == dialog.page_title
    assert not partly.changed_columns()
    partly.page_title, partly.closed_at = "Changed", None  # one was loaded, the other is assigned unseen
    assert partly.changed_columns() == {"page_title", "closed_at"}
    partly.refresh_from_db()
    assert not partly.changed_columns()


def test_a_dialog_that_was_made_here_can_be_read_anew_in_part(account, dialog):
    new = Dialog(**{name: getattr(dialog, name) for name in NAMES if name not in {"number", "visitor_id"}}, number=77)
    new.visitor = people.make_visitor(account)
    new.save()
    new.refresh_from_db(fields=["state"])
    assert "state" not in new.changed_columns()


def test_a_new_dialog_is_inserted_once_with_its_events(account, dialog):
    new = Dialog(
        **{name: getattr(dialog, name) for name in NAMES if name not in {"number", "visitor_id", "revision"}},
        number=dialog.number + 1,
        visitor=people.make_visitor(account),
    )
    record = Record(database_now())
    record.event(new, Started(), record.now)
    with transaction.atomic():
        record.write([dialog])
    stored = Dialog.objects.get(pk=new.pk)
    assert (stored.number, stored.revision, stored.events.count()) == (dialog.number + 1, 1, 1)
    assert not new.changed_columns()

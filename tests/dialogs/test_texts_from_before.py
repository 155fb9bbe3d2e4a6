"""What people typed before is converted in batches (C1)."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

from dialogs.models import Dialog, Message, MessageKind, Visitor
from dialogs.reading import search
from operators.logins import login_key
from operators.models import ContactField, Operator
from tests import people

texts = import_module("dialogs.migrations.0013_texts_from_before")
names = import_module("operators.migrations.0010_names_from_before")
logins = import_module("operators.migrations.0009_login_keys")


def convert(migration, function="convert"):
    """Run a migration's function with the models as migrations know them, which clean nothing by themselves."""
    before = MigrationLoader(connection).project_state(
        [("operators", "0010_names_from_before"), ("dialogs", "0013_texts_from_before")]
    )
    getattr(migration, function)(before.apps, SimpleNamespace(connection=connection))


def found(account, words):
    return set(search.found(search.terms(words), account.pk).values_list("dialog_id", flat=True))


@pytest.fixture
def from_before(account):
    """Dialogs as they were stored before; every second one has nothing to convert."""
    dialogs = []
    for place in range(5):
        visitor = people.make_visitor(account, name=f"Marina {place}")
        dialog = people.start_dialog(account, visitor=visitor)
        if place % 2 == 0:
            Visitor.objects.filter(pk=visitor.pk).update(name="\u202eZoe\u0308 \x07", own_fields={"Size": "e\u0301", "Number": "5"})
            Message.objects.filter(dialog=dialog, kind=MessageKind.VISITOR).update(text="Caffe\u0300\r\n  latte\x1b")
            Dialog.objects.filter(pk=dialog.pk).update(last_text="Caffe\u0300 latte", page_title="Те\u0438\u0306")
        dialogs.append(dialog)
    return dialogs


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_rows_are_converted_in_batches_and_once(account, from_before, monkeypatch, at_once):
    monkeypatch.setattr(texts, "AT_ONCE", at_once)
    convert(texts)
    for place, dialog in enumerate(from_before):
        dialog.refresh_from_db()
        said = dialog.messages.get(kind=MessageKind.VISITOR).text
        if place % 2:
            assert (dialog.visitor.name, said) == (f"Marina {place}", "Where is my order?")
            continue
        assert dialog.visitor.name == "Zoë"
        assert dialog.visitor.own_fields == {"Size": "é", "Number": "5"}
        assert said == "Caffè\n  latte"
        assert (dialog.last_text, dialog.page_title) == ("Caffè latte", "Тей")
    with CaptureQueriesContext(connection) as repeated:
        convert(texts)  # as after an attempt that was interrupted: there is nothing left to be written
    assert not [query["sql"] for query in repeated.captured_queries if query["sql"].startswith("UPDATE")]


def test_what_grows_when_it_is_composed_still_fits(account, from_before, anna):
    """Some letters are two in NFC: U+095C of Hindi, for example. What a column was full of loses its end."""
    dialog = from_before[0]
    Dialog.objects.filter(pk=dialog.pk).update(last_text="\u095c" * 200)
    Visitor.objects.filter(pk=dialog.visitor_id).update(name="\u095c" * 120)
    connection.cursor().execute("UPDATE operators_operator SET name = %s WHERE id = %s", ["\u095c" * 100, anna.pk])
    convert(texts)
    convert(names)
    dialog.refresh_from_db()
    anna.refresh_from_db()
    for stored, most in ((dialog.last_text, 200), (dialog.visitor.name, 120)):
        assert stored == ("\u0921\u093c" * 120)[:most]
    assert anna.name.startswith("\u0921\u093c")


def test_what_is_converted_is_found(account, from_before):
    convert(texts)
    assert found(account, "Zoë") == found(account, "caffè") == {dialog.pk for dialog in from_before[::2]}


def test_what_was_written_meanwhile_stays(account, from_before, monkeypatch):
    visitor_id = from_before[0].visitor_id
    lock = texts.lock

    def written_just_before(known_apps, visitor_ids):
        Visitor.objects.filter(pk=visitor_id).update(name="Boris")
        lock(known_apps, visitor_ids)

    monkeypatch.setattr(texts, "lock", written_just_before)
    convert(texts)
    assert Visitor.objects.get(pk=visitor_id).name == "Boris"


def test_names_and_labels(account, anna):
    rows = ContactField.objects
    first, second, third = (rows.create(account=account, label=label) for label in ("Größe", "Farbe", "Maß"))
    connection.cursor().execute("UPDATE operators_contactfield SET label = %s WHERE id = %s", ["Gro\u0308ße", second.pk])
    connection.cursor().execute("UPDATE operators_contactfield SET label = %s WHERE id = %s", ["La\u0308nge\u202e", third.pk])
    connection.cursor().execute("UPDATE operators_operator SET name = %s WHERE id = %s", ["Anna\u2066 И\u0306", anna.pk])
    convert(names)
    assert [row.label for row in rows.order_by("pk")] == ["Größe", "Gro\u0308ße", "Länge"]
    assert first.pk < second.pk < third.pk
    assert Operator.objects.get(pk=anna.pk).name == "Anna Й"


def test_logins_get_the_form_in_which_they_are_compared(anna, boris):
    connection.cursor().execute("UPDATE operators_operator SET login_key = '', username = 'ANNA.Ж' WHERE id = %s", [anna.pk])
    connection.cursor().execute("UPDATE operators_operator SET login_key = '' WHERE id = %s", [boris.pk])
    convert(logins, "fill")
    assert dict(Operator.objects.filter(pk__in=[anna.pk, boris.pk]).values_list("username", "login_key")) == {
        "ANNA.Ж": login_key("ANNA.Ж"),
        "boris": "boris",
    }

"""The migration that lets an operator's key be used once in each dialog: forwards, backwards, and under a former process (B1)."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from dialogs.models import Message
from tests import people

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, NAME = "0010_event_queue", "0011_operator_key_once_a_dialog"


def migrate(direction):
    """This one migration, whatever others follow it: `apply` or `unapply`."""
    loader = MigrationLoader(connection)
    migration = loader.graph.nodes["dialogs", NAME]
    with connection.schema_editor(atomic=False) as editor:
        getattr(migration, direction)(loader.project_state(("dialogs", BEFORE)), editor)


@pytest.fixture
def former_schema():
    """The constraint of the former release; the new one is there again afterwards."""
    migrate("unapply")
    yield
    if "operator_key_once_a_dialog" not in names_of_constraints():
        migrate("apply")


def names_of_constraints():
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, Message._meta.db_table))


def store(dialog, author, revision):
    """An answer as a process of the former release stores it, which has looked for its key already."""
    return Message.objects.create(
        dialog=dialog, kind="operator", author=author, text="Hello", client_key="the-same", at=dialog.created_at, revision=revision
    )


def test_there_is_a_constraint_at_every_moment_and_one_key_goes_to_two_dialogs_afterwards(account, anna, former_schema):
    first, second = people.start_dialog(account), people.start_dialog(account)
    store(first, anna, 5)
    with pytest.raises(IntegrityError), transaction.atomic():
        store(second, anna, 5)
    migrate("apply")
    assert {"operator_key_once_a_dialog"} == names_of_constraints() & {"operator_key_once_a_dialog", "operator_key_once"}
    store(second, anna, 5)
    with pytest.raises(IntegrityError), transaction.atomic():
        store(second, anna, 6)


def test_it_can_be_repeated_after_an_interruption(former_schema):
    for _ in range(2):
        migrate("apply")
    assert "operator_key_once_a_dialog" in names_of_constraints()


def test_going_back_keeps_the_answers_and_only_takes_repeated_keys(account, anna):
    for dialog in [people.start_dialog(account) for _ in range(3)]:
        store(dialog, anna, 5)
    migrate("unapply")
    try:
        keys = list(Message.objects.filter(author=anna).order_by("pk").values_list("client_key", flat=True))
        assert keys == ["the-same", "", ""]
        assert "operator_key_once" in names_of_constraints()
    finally:
        migrate("apply")

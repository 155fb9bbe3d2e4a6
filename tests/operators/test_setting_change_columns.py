"""Changes of settings in the form of the release before: converted, written by its processes meanwhile, read by them (M9, Z2)."""

import json

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from dialogs.actions.setting_changes import apply_setting_changes
from operators.actions.parts import delete_part, save_part
from operators.actions.settings import change_limits, change_settings
from operators.models import Account, ContactField, Department, Language, SettingChange
from tests import people
from webim_offline.foundation.database.clock import database_now

BEFORE = [("operators", "0004_session_generation")]
COLUMNS = [("operators", "0005_setting_change_columns")]
CONVERTED = [("operators", "0006_convert_setting_changes")]
LONG_SLUG = "wholesale-customers-of-the-northern-district-and-their-partners"


def write_as_before(account, field, old, new, *, at=None, handled_at=None):
    """Insert a change as a process of the release before does; returns its id."""
    at = at or database_now()
    columns = "account_id, at, actor_id, field, old, new, handled_at"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO operators_settingchange ({columns}) VALUES (%s, %s, NULL, %s, %s, %s, %s) RETURNING id",
            [account.pk, at, field[:60], old[:1000], new[:1000], handled_at],
        )
        return cursor.fetchone()[0]


def read_as_before(change):
    """(field, old, new) as a process of the release before reads them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT field, old, new FROM operators_settingchange WHERE id = %s", [change.pk])
        return cursor.fetchone()


def facts(pk):
    change = SettingChange.objects.get(pk=pk)
    return change.kind, change.target_id, change.target_name, change.setting, change.before, change.after


class TestWrittenByAProcessOfTheReleaseBefore:
    @pytest.mark.parametrize(
        ("field", "old", "new", "before", "after"),
        [
            ("name", "North Tea", "Northern.Tea “!”", "North Tea", "Northern.Tea “!”"),
            ("privacy_url", "", "https://tea.example/", "", "https://tea.example/"),
            ("name", "12", "None", "12", "None"),
            ("close_after", "259200", "0", 259200, 0),
            ("left_messages_in_workspace", "True", "False", True, False),
            ("archived_at", "", "2026-11-29T10:00:00+00:00", None, "2026-11-29T10:00:00+00:00"),
        ],
    )
    def test_of_the_account(self, account, field, old, new, before, after):
        assert facts(write_as_before(account, field, old, new)) == ("account", account.pk, "", field, before, after)

    def test_of_a_department(self, account, other_account):
        support = account.departments.get(slug="support")
        assert facts(write_as_before(account, "department.pickup_timeout.support", "None", "30")) == (
            "department", support.pk, "support", "pickup_timeout", None, 30,
        )  # fmt: skip
        pk = write_as_before(other_account, "department.archived.support", "", "Support")
        assert facts(pk)[1] != support.pk, "another account's department of the same name (X1)"

    def test_of_a_language_a_contact_field_and_an_operator(self, account, anna):
        language = account.languages.first()
        card = ContactField.objects.create(account=account, label="Card no. 7.5")
        assert facts(write_as_before(account, f"language.position.{language}", "0", "1")) == (
            "language", language.pk, language.code, "position", 0, 1,
        )  # fmt: skip
        assert facts(write_as_before(account, "contactfield.added.Card no. 7.5", "", "Card no. 7.5")) == (
            "contact_field", card.pk, "Card no. 7.5", "added", None, "Card no. 7.5",
        )  # fmt: skip
        assert facts(write_as_before(account, f"operator.max_online_dialogs.{anna.username}", "", "3")) == (
            "operator", anna.pk, anna.username, "max_online_dialogs", None, 3,
        )  # fmt: skip

    def test_a_name_that_was_cut_is_whole_again_where_only_one_begins_so(self, account):
        long = Department.objects.create(account=account, slug=LONG_SLUG, name="Wholesale")
        field = f"department.left_messages_email.{LONG_SLUG}"
        assert facts(write_as_before(account, field, "", "a@b.example"))[1:3] == (long.pk, LONG_SLUG)
        Department.objects.create(account=account, slug=LONG_SLUG[:-1] + "x", name="Wholesale too")
        assert facts(write_as_before(account, field, "", "a@b.example"))[1:3] == (None, field[:60].rpartition(".")[2])

    def test_a_name_that_nobody_has_keeps_its_name(self, account):
        assert facts(write_as_before(account, "department.deleted.gone", "Gone", "")) == (
            "department", None, "gone", "deleted", "Gone", None,
        )  # fmt: skip

    def test_what_waits_is_applied(self, account):
        Account.objects.update(close_after=60)
        pk = write_as_before(account, "close_after", "259200", "60")
        assert apply_setting_changes() == 1
        assert SettingChange.objects.get(pk=pk).handled_at is not None

    def test_the_admin_shows_it(self, client, account, vera):
        write_as_before(account, "left_messages_in_workspace", "True", "False")
        write_as_before(account, "department.name.support", "Support", "Care and Repair")
        people.sign_in(client, vera)
        body = client.get(reverse("admin:operators_account_change", args=[account.pk])).content.decode()
        assert "department support: name" in body
        assert "Care and Repair" in body


class TestReadByAProcessOfTheReleaseBefore:
    def test_settings(self, account):
        (number,) = change_settings(account, {"close_after": 60}, actor=None)
        assert read_as_before(number) == ("close_after", "259200", "60")
        (text,) = change_settings(account, {"name": "Northern “Tea”"}, actor=None)
        assert read_as_before(text) == ("name", "North Tea", "Northern “Tea”")

    def test_a_switch(self, account):
        Account.objects.update(left_messages_in_workspace=False, left_messages_email="left@tea.example")
        (change,) = change_settings(account, {"left_messages_in_workspace": True}, actor=None)
        assert read_as_before(change) == ("left_messages_in_workspace", "False", "True")

    def test_parts_and_limits(self, account, anna):
        support = account.departments.get(slug="support")
        support.pickup_timeout = 30
        save_part(support, actor=None)
        assert read_as_before(SettingChange.objects.latest("pk")) == ("department.pickup_timeout.support", "", "30")
        card = ContactField(account=account, label="Card")
        save_part(card, actor=None)
        assert read_as_before(SettingChange.objects.latest("pk")) == ("contactfield.added.Card", "", "Card")
        change_limits(anna, {"max_online_dialogs": 3}, actor=None)
        assert read_as_before(SettingChange.objects.latest("pk")) == ("operator.max_online_dialogs.anna", "", "3")

    def test_what_is_too_long_for_it_is_cut_for_it_alone(self, account):
        long = Department(account=account, slug=LONG_SLUG, name="Wholesale")
        save_part(long, actor=None)
        change = SettingChange.objects.latest("pk")
        assert change.target_name == LONG_SLUG
        assert read_as_before(change) == (f"department.added.{LONG_SLUG}"[:60], "", "Wholesale")


def test_a_deleted_part_keeps_its_id_and_name(account):
    german = Language(account=account, code="de", position=7)
    save_part(german, actor=None)
    pk = german.pk
    delete_part(german, actor=None)
    assert [facts(change.pk) for change in SettingChange.objects.order_by("pk")] == [
        ("language", pk, "de", "added", None, "de"),
        ("language", pk, "de", "deleted", "de", None),
    ]


def test_a_kind_that_this_version_does_not_know_is_shown_as_it_is_stored(client, account, vera):
    (change,) = change_settings(account, {"name": "Northern Tea"}, actor=None)
    SettingChange.objects.filter(pk=change.pk).update(kind="robot", setting="mood", target_name="R2", before={"a": 1}, after=2.5)
    people.sign_in(client, vera)
    body = client.get(reverse("admin:operators_account_change", args=[account.pk])).content.decode()
    assert "robot R2: mood" in body


@pytest.mark.django_db(transaction=True)
class TestTheMigration:
    @pytest.fixture
    def migrate(self):
        """Bring the database to another state of the schema; it is whole again afterwards."""

        def migrate(targets):
            executor = MigrationExecutor(connection)
            executor.migrate(targets)
            return executor.loader.project_state(targets).apps

        yield migrate
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())

    @staticmethod
    def stored():
        with connection.cursor() as cursor:
            cursor.execute(
                'SELECT kind, target_id, target_name, setting, "before", "after", handled_at IS NULL'
                " FROM operators_settingchange ORDER BY id"
            )
            return [
                (*row[:4], json.loads(row[4] or "null"), json.loads(row[5] or "null"), bool(row[6])) for row in cursor.fetchall()
            ]

    def test_rows_of_before_are_converted_and_what_waits_still_waits(self, account, migrate):
        support = account.departments.get(slug="support")
        migrate(BEFORE)
        now = database_now()
        write_as_before(account, "name", "A", "B", handled_at=now)
        write_as_before(account, "close_after", "10", "20")
        write_as_before(account, "department.pickup_timeout.support", "None", "30")
        migrate(CONVERTED)
        assert self.stored() == [
            ("account", account.pk, "", "name", "A", "B", False),
            ("account", account.pk, "", "close_after", 10, 20, True),
            ("department", support.pk, "support", "pickup_timeout", None, 30, True),
        ]

    def test_names_that_went_from_one_to_another(self, account, migrate, monkeypatch):
        """“care” was renamed, a second “care” was made and deleted, and a third one is there now."""
        first = Department.objects.create(account=account, slug="help", name="Help")
        third = Department.objects.create(account=account, slug="care", name="Care 3")
        migrate(BEFORE)
        now = database_now()
        for field, old, new in (
            ("department.added.care", "", "Care 1"),
            ("department.name.care", "Care 1", "Help"),
            ("department.slug.help", "care", "help"),
            ("department.added.care", "", "Care 2"),
            ("department.name.care", "Care 2", "Care two"),
            ("department.deleted.care", "Care two", ""),
            ("department.added.care", "", "Care 3"),
            ("department.name.help", "Help", "Help!"),
        ):
            write_as_before(account, field, old, new, handled_at=now)
        migrate(COLUMNS)
        monkeypatch.setattr("operators.migrations.0006_convert_setting_changes.AT_ONCE", 3)
        migrate(CONVERTED)
        assert [row[1] for row in self.stored()] == [first.pk, first.pk, first.pk, None, None, None, third.pk, first.pk]

    def test_a_login_that_was_free_again_is_not_its_new_owners(self, account, anna, migrate):
        migrate(BEFORE)
        earlier = anna.created_at.replace(year=2020)
        write_as_before(account, "operator.max_online_dialogs.anna", "", "3", at=earlier, handled_at=earlier)
        write_as_before(account, "operator.max_online_dialogs.anna", "3", "", handled_at=database_now())
        migrate(CONVERTED)
        assert [row[1] for row in self.stored()] == [None, anna.pk]

    def test_processes_of_before_write_between_the_two_steps(self, account, migrate):
        migrate(COLUMNS)
        write_as_before(account, "close_after", "10", "20")
        migrate(CONVERTED)
        assert self.stored() == [("account", account.pk, "", "close_after", 10, 20, True)]

    def test_and_back(self, account, migrate):
        change_settings(account, {"close_after": 60}, actor=None)
        migrate(BEFORE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT field, old, new FROM operators_settingchange")
            assert cursor.fetchall() == [("close_after", "259200", "60")]

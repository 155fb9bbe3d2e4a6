"""The demo account (interfaces.md)."""

import pytest
from django.core.management import CommandError, call_command

from operators.demo import LOGINS, demo_password, demo_passwords_stand
from operators.models import Account, Operator, Role, Status


@pytest.fixture(autouse=True)
def embedded(settings):
    settings.EMBEDDED = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def load(**options):
    call_command("load_demo", verbosity=0, **options)


def test_it_is_exactly_as_promised(db):
    load()
    account = Account.objects.get(slug="demo")
    assert account.left_messages_email == "left@demo.example"
    assert [language.code for language in account.languages.all()] == ["en", "ru"]
    assert {department.slug for department in account.departments.all()} == {"support", "sales"}
    people = {
        person.username: (
            person.role,
            {row.slug for row in person.departments.all()},
            {row.code for row in person.languages.all()},
            person.status,
            person.check_password(f"{person.username}-demo"),
        )
        for person in Operator.objects.all()
    }
    assert people == {
        "anna": (Role.OPERATOR, {"support"}, {"ru", "en"}, Status.OFFLINE, True),
        "boris": (Role.OPERATOR, {"sales"}, {"ru"}, Status.OFFLINE, True),
        "vera": (Role.SUPERVISOR, set(), {"ru", "en"}, Status.OFFLINE, True),
        "help": (Role.SUPPORT, set(), set(), Status.OFFLINE, True),
    }


def test_a_second_time_changes_nothing(db):
    load()
    Account.objects.update(name="My own name")
    load()
    assert Account.objects.get().name == "My own name"
    assert Operator.objects.count() == len(LOGINS)


def test_a_production_database_refuses_it_unless_forced(db, settings):
    settings.EMBEDDED = False
    with pytest.raises(CommandError, match="embedded"):
        load()
    assert not Account.objects.exists()
    load(force=True)
    assert Account.objects.filter(slug="demo").exists()


def test_a_taken_login_is_named_and_nothing_is_written(db):
    Operator.objects.create_user("boris", "secret", name="Another Boris", role=Role.SUPPORT)
    with pytest.raises(CommandError, match="boris"):
        load()
    assert not Account.objects.exists()


def test_demo_passwords_stand_until_the_last_is_changed(db, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert not demo_passwords_stand()
    load()
    for login in LOGINS:
        assert demo_passwords_stand(), f"{login} still has {demo_password(login)}"
        person = Operator.objects.get(username=login)
        person.set_password("something else")
        person.save(update_fields=["password"])
    assert not demo_passwords_stand()

"""The demo account (interfaces.md)."""

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

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
    assert demo_passwords_stand(), "so that no process starts"


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


def only_help_has_its_demo_password():
    for person in Operator.objects.exclude(username="help"):
        person.set_password("something else")
        person.save(update_fields=["password"])


@pytest.mark.parametrize("change", [{"slug": "north-tea"}, {"archived_at": Now()}])
def test_whatever_has_become_of_the_account(db, change):
    """On the commit before, another short name of the account hid the support staff's well-known login."""
    load()
    only_help_has_its_demo_password()
    Account.objects.update(**change)
    assert demo_passwords_stand()
    Operator.objects.filter(username="help").update(is_active=False)
    assert not demo_passwords_stand()


class TestSigningIn:
    """Asked at each sign-in, whatever the start could see: the database away, or `load_demo --force` after it."""

    REFUSED = "Demo passwords open nothing here"

    @pytest.fixture
    def sign_in(self, client):
        load()
        cache.clear()
        return lambda login, password: client.post("/accounts/login/", {"username": login, "password": password})

    @pytest.mark.parametrize("login", LOGINS)
    def test_not_in_production(self, db, settings, sign_in, login):
        settings.EMBEDDED = False
        answer = sign_in(login, demo_password(login))
        assert self.REFUSED in answer.content.decode()
        assert "_auth_user_id" not in answer.client.session

    def test_nor_where_others_can_come(self, db, settings, sign_in):
        settings.HOST = "0.0.0.0"
        for login in ("anna", "Anna ", "an\u200bna", "anna\ufe0f", "an\u00adna"):
            assert self.REFUSED in sign_in(login, "anna-demo").content.decode()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
    def test_but_on_this_machine(self, db, settings, sign_in, host):
        settings.HOST = host
        assert sign_in("anna", "anna-demo").url == "/workspace/"

    def test_another_password_opens_the_same_login_in_production(self, db, settings, sign_in):
        settings.EMBEDDED = False
        anna = Operator.objects.get(username="anna")
        anna.set_password("something else")
        anna.save(update_fields=["password"])
        assert sign_in("anna", "something else").url == "/workspace/"

    def test_nobody_learns_which_logins_there_are_and_nothing_is_hashed(self, db, settings, sign_in, monkeypatch):
        settings.EMBEDDED = False
        monkeypatch.setattr("django.contrib.auth.forms.authenticate", lambda *_, **__: pytest.fail("a password was looked at"))
        for login, password in (("anna", "anna-demo"), ("nobody", "nobody-demo"), (" ANNA ", "anna-demo")):
            assert self.REFUSED in sign_in(login, password).content.decode()

    def test_it_counts_as_an_attempt(self, db, settings, sign_in):
        settings.EMBEDDED = False
        assert [sign_in("anna", "anna-demo").status_code for _ in range(11)] == [200] * 10 + [429]

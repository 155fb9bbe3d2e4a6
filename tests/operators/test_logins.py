"""Logins are compared without case and without spaces around (C6)."""

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import example, given
from hypothesis import strategies as st

from operators.actions.people import describe_operator, set_password
from operators.logins import LONGEST_KEY, login_key
from operators.models import Operator
from tests import people

LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def quick(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


def signs_in(client, name, password=people.PASSWORD):
    client.logout()
    client.post(LOGIN, {"username": name, "password": password})
    return client.session.get("_auth_user_id")


def person(account, login, password=people.PASSWORD):
    operator = people.make_operator(account, login)
    set_password(operator, password)
    return operator


@pytest.mark.parametrize(
    "typed", ["anna", "Anna", "ANNA", "anna ", " Anna\t", "\u00a0anna\u3000", "anna\u200b", "\ufeffanna", "anna\x00", "ａｎｎａ"]
)
def test_any_case_and_spaces_sign_in(client, account, typed):
    anna = person(account, "anna")
    assert signs_in(client, typed) == str(anna.pk)


@pytest.mark.parametrize(
    ("login", "typed"),
    [
        ("Анна", "анна"),
        ("Marina.L", "marina.l"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("straße", "STRASSE"),
        ("i.ivanov@mail.example", "I.Ivanov@mail.example "),
    ],
)
def test_in_any_alphabet(client, account, login, typed):
    somebody = person(account, login)
    assert signs_in(client, typed) == str(somebody.pk)


@pytest.mark.parametrize("typed", ["ann a", "annä", "anna.", "", " ", "\u200b", "ann", "x" * 10_000])
def test_another_login_is_another(client, account, typed):
    person(account, "anna")
    assert signs_in(client, typed) is None


def test_two_that_differ_by_case_alone_match_exactly_until_one_is_renamed(client, account):
    small, large = person(account, "anna", "of the small one 1"), person(account, "Anna", "of the large one 2")
    assert signs_in(client, "anna", "of the small one 1") == str(small.pk)
    assert signs_in(client, " Anna ", "of the large one 2") == str(large.pk)
    assert signs_in(client, "anna", "of the large one 2") is None
    assert signs_in(client, "ANNA", "of the small one 1") is None
    large.username = "anna.l"
    describe_operator(large, ["username"])
    assert signs_in(client, "ANNA", "of the small one 1") == str(small.pk)
    assert signs_in(client, "Anna.L", "of the large one 2") == str(large.pk)


def test_a_row_that_a_release_from_before_has_made(client, account):
    anna = person(account, "Anna")
    Operator.objects.filter(pk=anna.pk).update(login_key="")
    assert signs_in(client, "Anna ") == str(anna.pk)
    assert signs_in(client, "") is None
    Operator.objects.filter(pk=anna.pk).update(login_key="marina")
    assert signs_in(client, "marina") is None
    assert signs_in(client, "anna") is None  # only letter for letter, until they have signed in once
    assert signs_in(client, "Anna") == str(anna.pk)
    assert signs_in(client, " ANNA") == str(anna.pk)


@pytest.mark.parametrize("typed", ["marina\u200b", "\ufeffmarina", " mar\u00adina\x00 ", "\u202emarina"])
def test_a_new_login_is_stored_without_what_nobody_sees(client, vera, typed):
    client.force_login(vera)
    form = client.post("/admin/operators/operator/add/", {"username": typed, "role": "operator"}).context["adminform"].form
    assert form.cleaned_data["username"] == "marina"


@pytest.mark.parametrize(("login", "is_free"), [("Anna", False), (" aNNa", False), ("anna2", True), ("Анна", True)])
def test_a_new_login_differs_by_more_than_case(client, account, vera, login, is_free):
    person(account, "anna")
    client.force_login(vera)
    page = client.post("/admin/operators/operator/add/", {"username": login, "name": "Anna", "role": "operator"})
    assert ("username" not in page.context["adminform"].form.errors) is is_free
    if not is_free:
        assert page.context["adminform"].form.errors["username"] == ["This login is taken."]


def test_commands_know_people_by_any_case(db, monkeypatch):
    person(None, "help")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", people.PASSWORD)
    with pytest.raises(CommandError, match="taken"):
        call_command("createsuperuser", "--noinput", username="Help")


def test_finding_somebody_is_one_query_for_any_name(account, django_assert_num_queries):
    person(account, "anna")
    for name in ("anna", "Anna ", "nobody", "", "x" * 100_000):
        with django_assert_num_queries(1):
            Operator.objects.with_login(name)


@given(st.text(max_size=80))
@example("ﷺ" * 64)
@example("İ\u0130ıI")
def test_the_key_of_a_login(login):
    key = login_key(login)
    assert login_key(f"\t{login} ") == key
    assert len(key) <= LONGEST_KEY
    assert "\x00" not in key

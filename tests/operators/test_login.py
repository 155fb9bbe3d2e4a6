"""Signing in and out (interfaces.md, A2, A5, X3)."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse

from operators.actions.accounts import archive_account, restore_account
from operators.actions.people import set_password
from operators.models import Operator
from tests import people

LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def quick(settings):
    """No attempts counted before, and hashes that cost nothing: these tests sign in a hundred times."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


def with_password(operator):
    set_password(operator, people.PASSWORD)
    return operator


def sign_in(client, name="anna", password=people.PASSWORD, **more):
    return client.post(LOGIN, {"username": name, "password": password, **more})


@pytest.fixture
def people_with_passwords(anna, vera):
    help_ = people.make_operator(None, "help")
    return [with_password(person) for person in (anna, vera, help_)]


@pytest.mark.parametrize(("name", "page"), [("anna", "/workspace/"), ("vera", "/workspace/"), ("help", "/admin/")])
def test_everyone_lands_on_the_own_page(client, people_with_passwords, name, page):
    assert sign_in(client, name).url == page
    assert client.get("/").url == page
    assert client.get(LOGIN).url == page


def test_next_is_honoured_when_it_is_our_own(client, people_with_passwords):
    assert sign_in(client, "vera", next="/admin/operators/account/").url == "/admin/operators/account/"


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example/x", "javascript:alert(1)", "/\\evil.example"])
def test_next_never_leads_to_another_site(client, people_with_passwords, page):
    assert sign_in(client, next=page).url == "/workspace/"


def test_the_form_has_the_promised_inputs_and_keeps_next(client, db):
    body = client.get(LOGIN, {"next": "/admin/"}).content.decode()
    assert 'name="username"' in body
    assert 'name="password"' in body
    assert '<input type="hidden" name="next" value="/admin/">' in body
    assert "?lang=ru&amp;next=%2Fadmin%2F" in body


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong"), ("nobody", people.PASSWORD), ("", "")])
def test_a_wrong_login_is_told_without_saying_what_was_wrong(client, people_with_passwords, name, password):
    response = sign_in(client, name, password)
    assert response.status_code == 200
    assert "That login and password do not match" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_the_login_page_speaks_russian(client, db):
    assert '<html lang="ru">' in client.get(LOGIN, {"lang": "ru"}).content.decode()
    assert '<html lang="ru">' in client.get(LOGIN).content.decode(), "the choice is remembered"


def test_an_inactive_person_cannot_sign_in(client, people_with_passwords):
    Operator.objects.filter(username="anna").update(is_active=False)
    assert "do not match" in sign_in(client).content.decode()


def test_people_of_an_archived_account_cannot_sign_in_until_it_is_back(client, account, people_with_passwords):
    archive_account(account, actor=None)
    assert "do not match" in sign_in(client).content.decode()
    restore_account(account, actor=None)
    assert sign_in(client).status_code == 302


@pytest.mark.parametrize("end", ["deactivated", "archived", "password"])
def test_a_session_ends_at_the_next_request(client, account, anna, end):
    client.force_login(anna)
    assert client.get("/").url == "/workspace/"
    if end == "deactivated":
        Operator.objects.filter(pk=anna.pk).update(is_active=False)
    elif end == "archived":
        archive_account(account, actor=None)
    else:
        set_password(anna, "a new and different one")
    assert client.get("/").url == LOGIN


class TestSigningOut:
    def test_it_ends_availability_and_tickets_at_once(self, client, anna):
        people.go_online(anna)
        before = anna.tickets_valid_from
        client.force_login(anna)
        assert client.post("/accounts/logout/").url == LOGIN
        anna.refresh_from_db()
        assert anna.last_seen_at is None
        assert anna.tickets_valid_from > before
        assert "_auth_user_id" not in client.session

    @pytest.mark.parametrize("address", ["/accounts/logout/", "/admin/logout/"])
    def test_only_by_post(self, client, anna, address):
        client.force_login(anna)
        assert client.get(address).status_code == 405
        assert client.post(address).url == LOGIN
        assert "_auth_user_id" not in client.session

    def test_signed_out_already_is_no_error(self, client, db):
        assert client.post("/accounts/logout/").url == LOGIN


class TestTheAdminsDoor:
    def test_it_leads_to_the_one_login(self, client, db):
        assert client.get("/admin/operators/account/").url == "/admin/login/?next=/admin/operators/account/"
        response = client.get("/admin/login/", {"next": "/admin/operators/account/"})
        assert response.url == "/accounts/login/?next=%2Fadmin%2Foperators%2Faccount%2F"
        assert client.get("/admin/login/", {"next": "https://evil.example/"}).url == "/accounts/login/?next=%2Fadmin%2F"

    def test_an_operator_is_told_and_not_sent_in_circles(self, client, anna):
        client.force_login(anna)
        response = client.get("/admin/", follow=True)
        assert response.status_code == 200
        assert "who cannot open the page you asked for" in response.content.decode()
        assert len(response.redirect_chain) == 2

    def test_an_operator_gets_no_page_of_the_admin(self, client, anna):
        client.force_login(anna)
        for name in ("operators_account", "operators_operator", "dialogs_dialog", "dialogs_visitor"):
            assert client.get(reverse(f"admin:{name}_changelist")).status_code == 302


class TestOwnLanguage:
    def test_it_is_chosen_by_post_and_kept(self, client, anna):
        client.force_login(anna)
        assert client.post("/accounts/language/", {"language": "ru", "next": "/workspace/7/"}).url == "/workspace/7/"
        anna.refresh_from_db()
        assert anna.ui_language == "ru"

    @pytest.mark.parametrize("code", ["xx", "ru' OR 1", "EN"])
    def test_an_unknown_one_is_refused(self, client, anna, code):
        client.force_login(anna)
        assert client.post("/accounts/language/", {"language": code}).status_code == 400
        anna.refresh_from_db()
        assert anna.ui_language == ""

    def test_it_needs_a_login_and_a_post(self, client, anna):
        assert client.post("/accounts/language/", {"language": "ru"}).url.startswith(LOGIN)
        client.force_login(anna)
        assert client.get("/accounts/language/").status_code == 405

    def test_next_stays_on_our_site(self, client, anna):
        client.force_login(anna)
        assert client.post("/accounts/language/", {"language": "ru", "next": "//evil.example"}).url == "/workspace/"


def test_a_new_password_voids_the_workspaces_tickets(anna):
    before = anna.tickets_valid_from - timedelta(seconds=1)
    Operator.objects.filter(pk=anna.pk).update(tickets_valid_from=before)
    set_password(anna, "a new and different one")
    anna.refresh_from_db()
    assert anna.tickets_valid_from > before
    assert anna.check_password("a new and different one")

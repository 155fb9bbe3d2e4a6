"""The page of one's own password, for people of every role; and the own password asked for again, within limits."""

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory, override_settings

from operators.actions.people import set_password
from operators.authentication import hashers
from operators.authentication.known_browsers import COOKIE
from operators.authentication.passwords import TooManyAttempts, check_own_password
from tests import people
from webim_offline.foundation import rate_limits

PAGE = "/accounts/password/"
NEW = "purple tram onion"


@pytest.fixture(autouse=True)
def quick(settings, monkeypatch):
    """No attempts counted before, a clock of the limits that stands still, and hashes that cost nothing."""
    monkeypatch.setattr(rate_limits.time, "time", lambda: 60_000_000.0)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture(params=["anna", "vera", "help"])
def person(request, account):
    """One of each role, with a password."""
    roles = {"anna": "operator", "vera": "supervisor"}
    made = people.make_operator(account if request.param in roles else None, request.param, role=roles.get(request.param, ""))
    set_password(made, people.PASSWORD)
    return made


@pytest.fixture
def anna(anna):
    set_password(anna, people.PASSWORD)
    return anna


def signed_in(person):
    browser = Client()
    given = {"username": person.username, "password": people.PASSWORD}
    assert browser.post("/accounts/login/", given).status_code == 302
    return browser


def change(browser, old=people.PASSWORD, new=NEW, again=None, **more):
    given = {"old_password": old, "new_password1": new, "new_password2": new if again is None else again}
    return browser.post(PAGE, given, **more)


def test_everyone_has_the_page_and_a_way_to_it(person):
    browser = signed_in(person)
    body = browser.get(PAGE).content.decode()
    for name in ("old_password", "new_password1", "new_password2"):
        assert f'name="{name}"' in body
    assert "At least 12 characters" in body
    assert "Wherever else you are signed in, you are signed out." in body
    for address in ["/admin/"] if person.is_support else ["/workspace/", *(["/admin/"] if person.is_staff else [])]:
        assert f'href="{PAGE}"' in browser.get(address).content.decode()


def test_the_admins_addresses_lead_there(person):
    browser = signed_in(person)
    for address in ("/admin/password_change/", "/admin/password_change/done/"):
        assert browser.get(address).url == PAGE


def test_nobody_else_has_it(client, db):
    assert client.get(PAGE).url == f"/accounts/login/?next={PAGE}"
    assert change(client).url == f"/accounts/login/?next={PAGE}"
    assert client.get("/admin/password_change/", follow=True).redirect_chain[-1][0] == f"/accounts/login/?next={PAGE}"


def test_the_own_browser_stays_and_the_others_end(person):
    here, elsewhere = signed_in(person), signed_in(person)
    tickets = person.tickets_valid_from
    answer = change(here)
    assert answer.url == "/accounts/password/changed/"
    assert "you are signed out now" in here.get(answer.url).content.decode()
    assert here.get("/").url != "/accounts/login/"
    assert elsewhere.get("/").url == "/accounts/login/"
    person.refresh_from_db()
    assert person.check_password(NEW)
    assert person.tickets_valid_from > tickets


def test_the_own_browser_stays_known_at_the_login(anna):
    here, elsewhere = signed_in(anna), signed_in(anna)
    change(here)
    here.post("/accounts/logout/")
    for _ in range(10):
        Client().post("/accounts/login/", {"username": "anna", "password": "wrong"})
    given = {"username": "anna", "password": NEW}
    assert elsewhere.post("/accounts/login/", given).status_code == 429
    assert here.cookies[COOKIE].value
    assert here.post("/accounts/login/", given).status_code == 302


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"old": "wrong"}, "That is not your password."),
        ({"again": "purple tram"}, "The two passwords differ."),
        ({"new": "short"}, "A password has at least 12 characters."),
        ({"new": "Anna-Anna-2026!"}, "little more than the login"),
        ({"new": people.PASSWORD}, "This is your current password."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_changes(anna, given, said):
    browser = signed_in(anna)
    answer = change(browser, **given)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    anna.refresh_from_db()
    assert anna.check_password(people.PASSWORD)


class TestLimits:
    def test_the_eleventh_wrong_one_is_not_looked_at(self, anna):
        """On the commit before, the old password could be guessed at without end."""
        browser = signed_in(anna)
        assert [change(browser, old="wrong").status_code for _ in range(10)] == [200] * 10
        answer = change(browser)
        assert (answer.status_code, answer["Retry-After"]) == (429, "60")
        assert "Too many wrong passwords. Try again in 60 seconds." in answer.content.decode()
        anna.refresh_from_db()
        assert anna.check_password(people.PASSWORD)

    def test_the_right_one_forgets_the_wrong_ones(self, anna):
        browser = signed_in(anna)
        for _ in range(3):
            assert [change(browser, old="wrong").status_code for _ in range(9)] == [200] * 9
            assert change(browser, new="short").status_code == 200

    def test_it_is_not_guessed_at_from_many_networks_without_end(self, anna, settings):
        settings.RATE_LIMITS = settings.RATE_LIMITS | {"own_password_anywhere": "30/min"}
        browser = signed_in(anna)
        codes = [change(browser, old="wrong", REMOTE_ADDR=f"203.0.113.{place}").status_code for place in range(31)]
        assert codes == [200] * 30 + [429]

    def test_a_process_that_hashes_already_says_so_and_counts_nothing(self, anna):
        browser = signed_in(anna)
        with override_settings(PASSWORD_HASHERS=["operators.authentication.hashers.Argon2"]):
            set_password(anna, people.PASSWORD)
            browser.force_login(anna)
            with hashers.place_to_hash(), hashers.place_to_hash():
                answers = [change(browser) for _ in range(12)]
            assert {(answer.status_code, answer["Retry-After"]) for answer in answers} == {(429, "1")}
            assert change(browser).status_code == 302

    def test_somebody_elses_attempts_do_not_count(self, anna, vera):
        request = RequestFactory().get("/")
        for _ in range(12):
            with pytest.raises(ValidationError) as refusal:
                check_own_password(request, anna, "wrong")
        assert isinstance(refusal.value, TooManyAttempts)
        assert 1 <= refusal.value.wait <= 60
        set_password(vera, people.PASSWORD)
        check_own_password(request, vera, people.PASSWORD)

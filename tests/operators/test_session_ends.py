"""Sessions end with the right to them, and for good; and of themselves after a while."""

from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from operators.actions.people import change_people, describe_operator, set_password
from operators.authentication import session_ages
from operators.models import Operator, Role
from operators.tasks import clear_expired_sessions
from tests import people

LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def quick(settings):
    """No attempts counted before, and hashes that cost nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


def browser_of(person):
    browser = Client()
    people.sign_in(browser, person)
    assert is_in(browser)
    return browser


def is_in(browser):
    return browser.get("/").url != LOGIN


def admin_post(admin, person, **changes):
    """The person's page in the admin, sent with changes; None: not there."""
    data = {
        "name": person.name, "username": person.username, "email": person.email, "role": person.role, "is_active": "on",
        "status": person.status, "ui_language": "", "password1": "", "password2": "", "changes-TOTAL_FORMS": "0",
        "departments": [row.pk for row in person.departments.all()], "languages": [row.pk for row in person.languages.all()],
        "changes-INITIAL_FORMS": "0",
    } | changes  # fmt: skip
    data = {name: value for name, value in data.items() if value is not None}
    response = admin.post(f"/admin/operators/operator/{person.pk}/change/", data)
    assert response.status_code == 302, response.context["adminform"].form.errors


def admin_act(admin, model, action, row):
    assert admin.post(f"/admin/operators/{model}/", {"action": action, "_selected_action": [row.pk]}).status_code == 302


@pytest.fixture
def support(db):
    return browser_of(people.make_operator(None, "help"))


class TestAnEndIsForGood:
    """The old cookie opens nothing when the right comes back."""

    def test_deactivated_and_activated_in_the_form(self, vera, anna):
        admin, mine, second = browser_of(vera), browser_of(anna), browser_of(anna)
        admin_post(admin, anna, is_active=None)
        anna.refresh_from_db()
        admin_post(admin, anna)
        anna.refresh_from_db()
        assert anna.is_active
        assert not is_in(mine)
        assert not is_in(second)
        assert is_in(browser_of(anna)), "who signs in anew is in"

    def test_from_the_list(self, vera, anna):
        admin, mine = browser_of(vera), browser_of(anna)
        admin_act(admin, "operator", "deactivate", anna)
        admin_act(admin, "operator", "activate", anna)
        assert not is_in(mine)

    @pytest.mark.parametrize("way", ["form", "list"])
    def test_support_staff(self, support, way):
        colleague = people.make_operator(None, "colleague")
        theirs = browser_of(colleague)
        if way == "form":
            more = {"status": None, "departments": None, "languages": None}
            admin_post(support, colleague, is_active=None, **more)
            admin_post(support, colleague, **more)
        else:
            admin_act(support, "operator", "deactivate", colleague)
            admin_act(support, "operator", "activate", colleague)
        colleague.refresh_from_db()
        assert colleague.is_active
        assert not is_in(theirs)

    def test_an_account_archived_and_brought_back(self, support, account, other_account, anna, vera):
        mine, hers = browser_of(anna), browser_of(vera)
        stranger = browser_of(people.make_operator(other_account, "stranger"))
        admin_act(support, "account", "archive", account)
        admin_act(support, "account", "restore", account)
        assert not is_in(mine)
        assert not is_in(hers)
        assert is_in(stranger)

    @pytest.mark.parametrize(("before", "after"), [(Role.SUPERVISOR, Role.OPERATOR), (Role.OPERATOR, Role.SUPERVISOR)])
    def test_another_role(self, account, vera, before, after):
        sofia = people.make_operator(account, "sofia", role=before, online=True)
        admin, hers = browser_of(vera), browser_of(sofia)
        tickets = sofia.tickets_valid_from
        admin_post(admin, sofia, role=after)
        assert not is_in(hers)
        sofia.refresh_from_db()
        assert (sofia.role, sofia.last_seen_at) == (after, None), "the workspace is over, too"
        assert sofia.tickets_valid_from > tickets
        last = sofia.changes.latest("pk")
        assert (last.is_online, last.actor) == (False, vera)
        admin_post(admin, sofia, role=before)
        assert not is_in(hers)

    def test_a_new_password_even_if_it_is_the_old_one(self, anna):
        set_password(anna, people.PASSWORD)
        mine = browser_of(anna)
        set_password(anna, people.PASSWORD)
        assert not is_in(mine)

    def test_a_new_password_from_the_admin(self, vera, anna):
        admin, mine = browser_of(vera), browser_of(anna)
        admin_post(admin, anna, password1="green-lamp-71", password2="green-lamp-71")
        assert not is_in(mine)
        assert is_in(admin)

    def test_a_deleted_person(self, vera, anna):
        admin, mine = browser_of(vera), browser_of(anna)
        assert admin.post(f"/admin/operators/operator/{anna.pk}/delete/", {"post": "yes"}).status_code == 302
        assert not is_in(mine)

    def test_signing_out_ends_that_browsers_session_and_no_other(self, anna):
        mine, second = browser_of(anna), browser_of(anna)
        key = mine.session.session_key
        mine.post("/accounts/logout/")
        thief = Client()
        thief.cookies["sessionid"] = key
        assert not is_in(thief)
        assert not Session.objects.filter(pk=key).exists()
        assert is_in(second)

    def test_what_the_release_before_deactivated(self, anna):
        """It ended no session for good: coming back does."""
        mine = browser_of(anna)
        Operator.objects.filter(pk=anna.pk).update(is_active=False)
        change_people(anna, departments=[], languages=[], active=True)
        assert not is_in(mine)


class TestNothingElseEndsThem:
    def test_other_changes(self, vera, anna):
        admin, mine = browser_of(vera), browser_of(anna)
        admin_post(admin, anna, name="Anna Olegovna", email="anna@mail.example", departments=[], status="invisible")
        assert is_in(mine)

    def test_saving_a_role_that_stays(self, vera, anna):
        mine = browser_of(anna)
        describe_operator(anna, ["role"], actor=vera)
        assert is_in(mine)

    def test_an_upgrade(self, anna):
        """Of somebody whose sessions never ended, a session of the release before is as good as one of this."""
        hash_before = super(Operator, anna)._get_session_auth_hash()
        assert anna.get_session_auth_hash() == hash_before
        Operator.objects.filter(pk=anna.pk).update(session_generation=1)
        anna.refresh_from_db()
        assert anna.get_session_auth_hash() != hash_before

    def test_a_key_that_was_replaced_with_care(self, anna, settings):
        Operator.objects.filter(pk=anna.pk).update(session_generation=3)
        anna.refresh_from_db()
        mine = browser_of(anna)
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key of enough letters 83jfuw7"
        assert is_in(mine)


class TestAges:
    """SESSION_IDLE without a request, SESSION_LONGEST from signing in."""

    @pytest.fixture
    def mine(self, anna):
        set_password(anna, people.PASSWORD)
        browser = Client()
        browser.post(LOGIN, {"username": "anna", "password": people.PASSWORD})
        return browser

    def pass_time(self, browser, **passed):
        """Everything that the session says happened so much earlier."""
        past = timedelta(**passed)
        session = browser.session
        for name in (session_ages.SIGNED_IN_AT, "_session_expiry"):
            session[name] = (session_ages.datetime.fromisoformat(session[name]) - past).isoformat()
        session.save()

    def left(self, browser):
        return browser.session.get_expiry_date() - timezone.now()

    def test_the_end_is_stored_with_the_session(self, mine, settings):
        row = Session.objects.get(pk=mine.session.session_key)
        assert abs(row.expire_date - timezone.now() - settings.SESSION_IDLE) < timedelta(minutes=1)

    def test_requests_move_it(self, mine, settings):
        self.pass_time(mine, days=2)
        assert is_in(mine)
        assert abs(self.left(mine) - settings.SESSION_IDLE) < timedelta(minutes=1)
        assert int(mine.cookies["sessionid"]["max-age"]) > 2.9 * 86400

    def test_but_not_every_request_writes(self, mine):
        before = mine.session.get_expiry_date()
        assert is_in(mine)
        assert mine.session.get_expiry_date() == before

    def test_three_idle_days_end_it(self, mine):
        self.pass_time(mine, days=3, seconds=1)
        assert not is_in(mine)

    def test_nothing_moves_it_past_two_weeks(self, mine):
        for _ in range(6):
            self.pass_time(mine, days=2, hours=7)
            assert is_in(mine)
        self.pass_time(mine, hours=5, minutes=30)
        assert is_in(mine)
        assert self.left(mine) < timedelta(hours=1)
        self.pass_time(mine, hours=1)
        assert not is_in(mine)

    def test_a_session_of_the_release_before_ends_when_that_said(self, client, anna):
        client.force_login(anna)
        before = Session.objects.get().expire_date
        assert is_in(client)
        assert Session.objects.get().expire_date == before

    def test_signing_in_changes_the_key(self, anna):
        set_password(anna, people.PASSWORD)
        browser = Client()
        session = browser.session
        session["planted"] = "1"
        session.save()
        planted = session.session_key
        browser.cookies["sessionid"] = planted
        browser.post(LOGIN, {"username": "anna", "password": people.PASSWORD})
        assert browser.session.session_key != planted
        assert SESSION_KEY in browser.session
        assert not Session.objects.filter(pk=planted).exists()


def test_expired_sessions_are_cleared_in_batches(anna, monkeypatch):
    now = timezone.now()
    ended = [Session(session_key=f"old-{n}", session_data="", expire_date=now - timedelta(seconds=n + 1)) for n in range(7)]
    Session.objects.bulk_create([*ended, Session(session_key="good", session_data="", expire_date=now + timedelta(days=1))])
    monkeypatch.setattr("operators.authentication.session_ages.BATCH", 3)
    assert clear_expired_sessions() == 7
    assert [row.pk for row in Session.objects.all()] == ["good"]
    assert clear_expired_sessions() == 0

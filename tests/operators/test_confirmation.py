"""What opens or shuts a door asks for the own password once more, unless it was given within ten minutes."""

import logging
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from operators.actions.accounts import archive_account
from operators.actions.people import set_password
from operators.authentication import confirmation
from operators.models import Account, Department, Operator, Role
from tests import people
from tests.operators.test_admin_people import as_shown, new_person
from tests.operators.test_admin_settings import filled
from webim_offline.foundation.environment import MailServer

ASKED = 'name="own_password"'


@pytest.fixture(autouse=True)
def quick(settings):
    """No attempts counted before, and hashes that cost nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def help_(db):
    """Somebody of the support staff."""
    return people.make_operator(None, "help")


def signed_in(person):
    """The browser of somebody who has just used the login form."""
    set_password(person, people.PASSWORD)
    browser = Client()
    response = browser.post("/accounts/login/", {"username": person.username, "password": people.PASSWORD})
    assert response.status_code == 302
    return browser


def later(browser, **passed):
    """So much time passes for that browser's last confirmation."""
    session = browser.session
    given = session[confirmation.KEY]
    moment = confirmation.datetime.fromisoformat(given["at"]) - timedelta(**passed)
    session[confirmation.KEY] = given | {"at": moment.isoformat()}
    session.save()


@pytest.fixture
def supervisor(vera):
    """Vera's browser, eleven minutes after she signed in."""
    browser = signed_in(vera)
    later(browser, minutes=11)
    return browser


@pytest.fixture
def support(help_):
    """The support staff's browser, eleven minutes after signing in."""
    browser = signed_in(help_)
    later(browser, minutes=11)
    return browser


def page(model, kind, *args):
    return reverse(f"admin:operators_{model._meta.model_name}_{kind}", args=args)


def change(browser, operator, **more):
    data = {name: value for name, value in as_shown(operator, **more).items() if value is not None}
    return browser.post(page(Operator, "change", operator.pk), data)


def filled_in(browser, account, **changes):
    """The account's form as that browser would send it; None: as if the field were not there."""
    data = filled(browser, page(Account, "change", account.pk)) | changes
    return {name: value for name, value in data.items() if value is not None}


def act(browser, model, action, *rows, **more):
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return browser.post(page(model, "changelist"), data)


def stored(operator):
    fields = ("password", "email", "role", "is_active", "name")
    return Operator.objects.values(*fields).get(pk=operator.pk)


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "security"]


CHANGES = {
    "password": {"password1": "green-lamp-71", "password2": "green-lamp-71"},
    "email": {"email": "anna@mail.example"},
    "role": {"role": "supervisor"},
    "activation": {"is_active": None},
}


class TestChangesOfAPerson:
    @pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
    def test_it_is_asked_and_nothing_is_written_until_it_is_given(self, supervisor, anna, changes):
        before = stored(anna)
        response = change(supervisor, anna, name="Anna Olegovna", **changes)
        assert response.status_code == 200
        body = response.content.decode()
        assert ASKED in body
        assert "Your password" in body
        assert "Anna Olegovna" in body, "what was typed is kept"
        assert stored(anna) == before
        assert change(supervisor, anna, name="Anna Olegovna", own_password=people.PASSWORD, **changes).status_code == 302
        assert stored(anna) != before | {"name": "Anna Olegovna"}
        assert stored(anna)["name"] == "Anna Olegovna"

    def test_the_field_stands_right_above_the_buttons(self, supervisor, anna):
        body = change(supervisor, anna, email="anna@mail.example").content.decode()
        assert body.index("changes-group") < body.index(ASKED) < body.index('name="_save"')

    def test_the_tables_below_are_as_stored(self, supervisor, anna):
        people.go_online(anna)
        shown = supervisor.get(page(Operator, "change", anna.pk)).content.decode()
        again = change(supervisor, anna, email="anna@mail.example", **{"changes-TOTAL_FORMS": "1"}).content.decode()
        table = '<table class="read-only-rows">'
        assert "status chosen" in again
        assert again.partition(table)[2].partition("</table>")[0] == shown.partition(table)[2].partition("</table>")[0] != ""

    def test_a_new_password_need_not_be_typed_again(self, supervisor, anna):
        body = change(supervisor, anna, **CHANGES["password"]).content.decode()
        assert body.count('value="green-lamp-71"') == 2
        body = change(supervisor, anna, **CHANGES["password"], own_password=people.PASSWORD[:-1]).content.decode()
        assert f'value="{people.PASSWORD[:-1]}"' not in body

    @pytest.mark.parametrize("password", ["", "wrong", people.PASSWORD + " ", "x" * 5000])
    def test_a_wrong_one_is_an_error_at_its_field(self, supervisor, anna, password):
        before = stored(anna)
        response = change(supervisor, anna, email="anna@mail.example", own_password=password)
        assert set(response.context["adminform"].form.errors) == {"own_password"}
        assert stored(anna) == before

    def test_other_changes_ask_nothing(self, supervisor, anna):
        assert ASKED not in supervisor.get(page(Operator, "change", anna.pk)).content.decode()
        assert change(supervisor, anna, name="Anna O.", status="online", departments=[]).status_code == 302

    def test_within_ten_minutes_of_signing_in_nothing_is_asked(self, vera, anna):
        browser = signed_in(vera)
        later(browser, minutes=9, seconds=50)
        for changes in CHANGES.values():
            assert change(browser, anna, **changes).status_code == 302
            anna.refresh_from_db()

    def test_given_once_it_stands_for_ten_minutes_and_no_longer(self, supervisor, anna):
        assert change(supervisor, anna, email="a@mail.example", own_password=people.PASSWORD).status_code == 302
        later(supervisor, minutes=9, seconds=50)
        assert change(supervisor, anna, email="b@mail.example").status_code == 302
        later(supervisor, seconds=11)
        assert change(supervisor, anna, email="c@mail.example").status_code == 200

    def test_a_clock_set_back_makes_it_ask(self, supervisor, anna):
        later(supervisor, minutes=-30)
        assert change(supervisor, anna, email="a@mail.example").status_code == 200

    def test_the_log_of_the_row_names_no_password_of_the_actor(self, supervisor, anna):
        change(supervisor, anna, email="a@mail.example", own_password=people.PASSWORD)
        body = supervisor.get(page(Operator, "history", anna.pk)).content.decode()
        assert "Changed Email." in body

    def test_a_new_person(self, supervisor):
        response = supervisor.post(page(Operator, "add"), new_person())
        assert ASKED in response.content.decode()
        assert not Operator.objects.filter(username="nina").exists()
        assert supervisor.post(page(Operator, "add"), new_person(own_password=people.PASSWORD)).status_code == 302

    def test_deleting_somebody(self, supervisor, anna):
        address = page(Operator, "delete", anna.pk)
        assert ASKED in supervisor.get(address).content.decode()
        for given in ({}, {"own_password": "wrong"}):
            response = supervisor.post(address, {"post": "yes", **given})
            assert response.status_code == 200
            assert ASKED in response.content.decode()
        assert Operator.objects.filter(pk=anna.pk).exists()
        assert supervisor.post(address, {"post": "yes", "own_password": people.PASSWORD}).status_code == 302
        assert not Operator.objects.filter(pk=anna.pk).exists()

    def test_deleting_right_after_signing_in_asks_nothing(self, vera, anna):
        browser = signed_in(vera)
        assert ASKED not in browser.get(page(Operator, "delete", anna.pk)).content.decode()
        assert browser.post(page(Operator, "delete", anna.pk), {"post": "yes"}).status_code == 302


class TestActionsOfLists:
    @pytest.mark.parametrize("across", ["0", "1"])
    def test_people(self, supervisor, anna, boris, vera, across):
        anna.departments.clear()
        response = act(supervisor, Operator, "deactivate", anna, boris, select_across=across)
        body = response.content.decode()
        assert ASKED in body
        assert "Anna" in body
        assert set(Operator.objects.filter(is_active=True)) == {anna, boris, vera}
        response = act(supervisor, Operator, "deactivate", anna, boris, select_across=across, own_password="wrong")
        assert "That is not your password" in response.content.decode()
        given = {"select_across": across, "own_password": people.PASSWORD}
        assert act(supervisor, Operator, "deactivate", anna, boris, **given).status_code == 302
        assert set(Operator.objects.filter(is_active=True)) == {vera}
        later(supervisor, minutes=11)
        assert ASKED in act(supervisor, Operator, "activate", anna).content.decode()
        assert act(supervisor, Operator, "activate", anna, own_password=people.PASSWORD).status_code == 302
        assert set(Operator.objects.filter(is_active=True)) == {vera, anna}

    def test_accounts(self, support, account):
        for action in ("archive", "restore"):
            later(support, minutes=11)
            before = Account.objects.values("archived_at").get(pk=account.pk)
            assert ASKED in act(support, Account, action, account).content.decode()
            assert Account.objects.values("archived_at").get(pk=account.pk) == before
            assert act(support, Account, action, account, own_password=people.PASSWORD).status_code == 302
            assert Account.objects.values("archived_at").get(pk=account.pk) != before

    def test_archiving_a_department_asks_nothing(self, supervisor, account):
        assert act(supervisor, Department, "archive", account.departments.get(slug="sales")).status_code == 302

    def test_nobody_elses_row_is_named_on_the_page(self, supervisor, other_account):
        stranger = people.make_operator(other_account, "stranger")
        assert "Stranger" not in act(supervisor, Operator, "deactivate", stranger).content.decode()


class TestSettings:
    def test_where_left_messages_go(self, supervisor, account):
        data = filled_in(supervisor, account, left_messages_email="left@tea.example")
        response = supervisor.post(page(Account, "change", account.pk), data)
        assert ASKED in response.content.decode()
        assert "left@tea.example" in response.content.decode()
        account.refresh_from_db()
        assert account.left_messages_email == ""
        data["own_password"] = people.PASSWORD
        assert supervisor.post(page(Account, "change", account.pk), data).status_code == 302
        account.refresh_from_db()
        assert account.left_messages_email == "left@tea.example"

    def test_the_switch(self, support, account, settings):
        settings.MAIL_SERVER = MailServer(host="127.0.0.1", port=25)
        Account.objects.update(left_messages_email="left@tea.example")
        account.refresh_from_db()
        data = filled_in(support, account, left_messages_in_workspace=None)
        assert ASKED in support.post(page(Account, "change", account.pk), data).content.decode()
        account.refresh_from_db()
        assert account.left_messages_in_workspace
        data["own_password"] = people.PASSWORD
        assert support.post(page(Account, "change", account.pk), data).status_code == 302
        account.refresh_from_db()
        assert not account.left_messages_in_workspace

    @pytest.mark.parametrize("kind", ["change", "add"])
    def test_a_departments_own_addresses(self, supervisor, account, kind):
        sales = account.departments.get(slug="sales")
        address = page(Department, "change", sales.pk) if kind == "change" else page(Department, "add")
        data = {"name": "Sales", "slug": "sales" if kind == "change" else "nights", "left_messages_email": "s@tea.example"}
        assert ASKED in supervisor.post(address, data).content.decode()
        assert not Department.objects.exclude(left_messages_email="").exists()
        assert supervisor.post(address, data | {"own_password": people.PASSWORD}).status_code == 302
        assert Department.objects.filter(left_messages_email="s@tea.example").exists()

    def test_other_settings_ask_nothing(self, supervisor, account):
        data = filled_in(supervisor, account, name="Northern Tea", close_after="3600", assignment="automatic")
        assert supervisor.post(page(Account, "change", account.pk), data).status_code == 302


class TestWhatAConfirmationIsBoundTo:
    def test_to_one_session(self, supervisor, vera, anna):
        other = Client()
        other.post("/accounts/login/", {"username": "vera", "password": people.PASSWORD})
        later(other, minutes=11)
        change(supervisor, anna, email="a@mail.example", own_password=people.PASSWORD)
        assert change(other, anna, email="b@mail.example").status_code == 200

    def test_to_one_person(self, account, vera, anna):
        """A session's contents carried into another's confirm nothing there."""
        second = people.make_operator(account, "sofia", role="supervisor")
        browser, others = signed_in(vera), signed_in(second)
        session = others.session
        session[confirmation.KEY] = browser.session[confirmation.KEY]
        session.save()
        assert change(others, anna, email="a@mail.example").status_code == 200
        assert change(browser, anna, email="a@mail.example").status_code == 302

    def test_anothers_password_confirms_nothing(self, supervisor, account, anna):
        set_password(anna, "annas own words")
        assert change(supervisor, anna, email="a@mail.example", own_password="annas own words").status_code == 200

    def test_to_the_password(self, vera, anna):
        browser = signed_in(vera)
        before = browser.session[confirmation.KEY]
        response = browser.post(
            "/accounts/password/",
            {"old_password": people.PASSWORD, "new_password1": "orange kite 2 sea", "new_password2": "orange kite 2 sea"},
        )
        assert response.status_code == 302
        session = browser.session
        session[confirmation.KEY] = before  # changing it was a confirmation of its own
        session.save()
        assert change(browser, anna, email="a@mail.example").status_code == 200
        assert change(browser, anna, email="a@mail.example", own_password=people.PASSWORD).status_code == 200
        assert change(browser, anna, email="a@mail.example", own_password="orange kite 2 sea").status_code == 302

    def test_to_the_server_side_of_the_session(self, vera, anna):
        """No cookie carries it: without the mark in the stored session the same browser is asked."""
        browser = signed_in(vera)
        session = browser.session
        del session[confirmation.KEY]
        session.save()
        browser.cookies[confirmation.KEY] = "2126-01-01T00:00:00+00:00"
        assert change(browser, anna, email="a@mail.example").status_code == 200


def test_guesses_are_limited(supervisor, anna, caplog):
    for _ in range(10):
        assert change(supervisor, anna, email="a@mail.example", own_password="wrong").status_code == 200
    response = change(supervisor, anna, email="a@mail.example", own_password=people.PASSWORD)
    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 60
    assert "Too many wrong passwords" in str(response.context["adminform"].form.errors["own_password"])
    for response in (
        act(supervisor, Operator, "deactivate", anna, own_password=people.PASSWORD),
        supervisor.post(page(Operator, "delete", anna.pk), {"post": "yes", "own_password": people.PASSWORD}),
    ):
        assert response.status_code == 429
    anna.refresh_from_db()
    assert (anna.email, anna.is_active) == ("", True)
    assert sum("outcome=limited" in line and "event=confirmation" in line for line in told(caplog)) == 3


class TestOnesOwnPassword:
    """It is changed on a page of its own, which asks for the old one, and nowhere else."""

    @pytest.fixture(params=["vera", "help"])
    def me(self, request):
        return request.getfixturevalue({"vera": "vera", "help": "help_"}[request.param])

    def test_the_own_row_has_no_field_for_it_but_the_way_to_the_page(self, me):
        browser = signed_in(me)
        body = browser.get(page(Operator, "change", me.pk)).content.decode()
        assert 'name="password1"' not in body
        assert f'href="{reverse("password")}"' in body
        assert reverse("password") == "/accounts/password/"

    def test_a_hand_made_post_does_not_set_it(self, me):
        browser = signed_in(me)
        before = stored(me)
        more = {"name": "New Name", "password1": "green-lamp-71", "password2": "green-lamp-71", "password": "x"}
        assert change(browser, me, **more).status_code == 302
        assert stored(me) == before | {"name": "New Name"}

    def test_others_are_still_given_one(self, me, anna):
        browser = signed_in(me)
        assert 'name="password1"' in browser.get(page(Operator, "change", anna.pk)).content.decode()
        assert change(browser, anna, **CHANGES["password"]).status_code == 302
        anna.refresh_from_db()
        assert anna.check_password("green-lamp-71")


class TestTheSecurityLog:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            (CHANGES["password"], "event=password outcome=done operator={anna} account={account} actor={vera}"),
            (CHANGES["email"], "event=setting outcome=done operator={anna} account={account} actor={vera}"),
            (CHANGES["role"], "event=role outcome=done operator={anna} account={account} actor={vera}"),
            (CHANGES["activation"], "event=activation outcome=done operator={anna} account={account} actor={vera}"),
        ],
    )
    def test_a_change_is_one_line_with_ids_alone(
        self, vera, anna, account, caplog, changes, words, django_capture_on_commit_callbacks
    ):
        browser = signed_in(vera)
        caplog.clear()
        caplog.set_level(logging.INFO)
        with django_capture_on_commit_callbacks(execute=True):
            change(browser, anna, **changes)
        (line,) = told(caplog)
        assert line.startswith(words.format(anna=anna.pk, vera=vera.pk, account=account.pk))
        assert "network=127.0.0.1" in line
        for secret in ("anna", "vera", "green", "mail.example"):
            assert secret not in line

    def test_actions_and_deletion(self, vera, anna, boris, account, caplog, django_capture_on_commit_callbacks):
        browser = signed_in(vera)
        caplog.clear()
        caplog.set_level(logging.INFO)
        with django_capture_on_commit_callbacks(execute=True):
            act(browser, Operator, "deactivate", anna)
            act(browser, Operator, "activate", anna)
            browser.post(page(Operator, "delete", boris.pk), {"post": "yes"})
        lines = [line.rpartition("reason=") for line in told(caplog)]
        assert [reason for _line, _, reason in lines] == ["deactivated", "activated", "deleted"]
        assert f"operator={boris.pk} account={account.pk} actor={vera.pk}" in lines[-1][0]

    def test_accounts_and_settings(self, help_, account, caplog, django_capture_on_commit_callbacks):
        browser = signed_in(help_)
        caplog.clear()
        caplog.set_level(logging.INFO)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post(page(Account, "change", account.pk), filled_in(browser, account, left_messages_email="left@tea.example"))
            act(browser, Account, "archive", account)
            act(browser, Account, "restore", account)
        assert [line.split(" network")[0] for line in told(caplog)] == [
            f"event={event} outcome=done account={account.pk} actor={help_.pk}" for event in ("setting", "activation", "activation")
        ]
        assert not any("left@" in line for line in told(caplog))

    def test_nothing_is_told_of_what_was_not_written(self, supervisor, anna, caplog, django_capture_on_commit_callbacks):
        caplog.set_level(logging.INFO)
        with django_capture_on_commit_callbacks(execute=True):
            change(supervisor, anna, email="a@mail.example", own_password="wrong")
            change(supervisor, anna, email="a@mail.example")
        assert [line.split(" operator")[0] for line in told(caplog)] == ["event=confirmation outcome=refused"] * 2
        assert [line.rpartition("reason=")[2] for line in told(caplog)] == ["wrong_password", "asked"]


def test_somebody_without_the_right_is_not_even_asked(anna, boris, account):
    browser = signed_in(anna)
    later(browser, minutes=11)
    assert change(browser, boris, email="b@mail.example").status_code == 302  # to the login
    assert act(browser, Operator, "deactivate", boris).status_code == 302
    boris.refresh_from_db()
    assert (boris.email, boris.role, boris.is_active) == ("", Role.OPERATOR, True)
    archive_account(account, actor=None)

"""Departments, languages, own contact fields and people in the admin (A1, A2, A5)."""

import pytest
from django.test import Client
from django.urls import reverse

from dialogs.actions.assignment_by_hand import take
from dialogs.models import Dialog
from operators.actions.parts import MOST, is_mentioned
from operators.models import ContactField, Department, Language, Lifetime, Operator, Role, SettingTarget, Status
from tests import people


@pytest.fixture(autouse=True)
def quick(settings):
    """Hashes that cost nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def supervisor(client, vera):
    """Vera's browser."""
    people.sign_in(client, vera)
    return client


@pytest.fixture
def support(client, db):
    """The support staff's browser."""
    people.sign_in(client, people.make_operator(None, "help"))
    return client


def page(model, kind, *args):
    return reverse(f"admin:operators_{model._meta.model_name}_{kind}", args=args)


def errors(response):
    assert response.status_code == 200, "it was saved"
    return response.context["adminform"].form.errors


def act(browser, model, action, *rows):
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return browser.post(page(model, "changelist"), data, follow=True).content.decode()


class TestArchiving:
    """A5: what anything mentions is archived, never deleted."""

    def test_what_nothing_mentions_is_deleted(self, supervisor, account):
        department = account.departments.get(slug="sales")
        assert supervisor.post(page(Department, "delete", department.pk), {"post": "yes"}).status_code == 302
        assert not Department.objects.filter(pk=department.pk).exists()
        change = account.setting_changes.get()
        assert (change.kind, change.target_name, change.setting) == (SettingTarget.DEPARTMENT, "sales", Lifetime.DELETED)
        assert change.target_id == department.pk

    @pytest.mark.parametrize("mention", ["dialog", "operator"])
    def test_what_is_mentioned_is_only_archived(self, supervisor, account, mention):
        department = account.departments.get(slug="sales")
        if mention == "dialog":
            people.start_dialog(account, department="sales")
        else:
            people.make_operator(account, "sam", departments=("sales",))
        assert is_mentioned(department)
        assert supervisor.post(page(Department, "delete", department.pk), {"post": "yes"}).status_code == 403
        assert (
            page(Department, "delete", department.pk)
            not in supervisor.get(page(Department, "change", department.pk)).content.decode()
        )
        assert "1 row archived" in act(supervisor, Department, "archive", department)
        department.refresh_from_db()
        assert department.archived_at
        act(supervisor, Department, "restore", department)
        department.refresh_from_db()
        assert department.archived_at is None

    def test_the_question_is_one_cheap_query_a_kind(self, account, django_assert_max_num_queries):
        department = account.departments.get(slug="sales")
        with django_assert_max_num_queries(3):
            assert not is_mentioned(department)

    def test_the_last_language_stays(self, supervisor, account, vera):
        vera.languages.clear()
        english, russian = account.languages.all()
        assert "1 row archived" in act(supervisor, Language, "archive", english)
        assert "last language" in act(supervisor, Language, "archive", russian)
        russian.refresh_from_db()
        assert russian.archived_at is None
        response = supervisor.post(page(Language, "delete", russian.pk), {"post": "yes"}, follow=True)
        assert "last language" in response.content.decode()
        assert Language.objects.filter(pk=russian.pk).exists()

    def test_people_of_dialogs_are_deactivated_not_deleted(self, supervisor, account, anna):
        people.write(people.make_visitor(account))
        take(Dialog.objects.get().pk, anna)
        assert supervisor.post(page(Operator, "delete", anna.pk), {"post": "yes"}).status_code == 403
        assert Operator.objects.filter(pk=anna.pk).exists()

    def test_somebody_whom_nothing_mentions_is_deleted(self, supervisor, anna):
        assert supervisor.post(page(Operator, "delete", anna.pk), {"post": "yes"}).status_code == 302
        assert not Operator.objects.filter(pk=anna.pk).exists()

    def test_own_contact_fields_are_deleted_and_it_is_recorded(self, supervisor, account):
        field = ContactField.objects.create(account=account, label="Card")
        assert supervisor.post(page(ContactField, "delete", field.pk), {"post": "yes"}).status_code == 302
        change = account.setting_changes.get()
        assert (change.kind, change.target_name, change.setting) == (SettingTarget.CONTACT_FIELD, "Card", Lifetime.DELETED)
        assert (change.before, change.after) == ("Card", None)


class TestParts:
    def test_a_short_name_is_taken_once_an_account(self, supervisor, account, other_account):
        data = {"name": "Again", "slug": "sales", "left_messages_email": ""}
        assert "already" in str(errors(supervisor.post(page(Department, "add"), data)))
        Department.objects.create(account=other_account, slug="nights", name="Nights")
        assert supervisor.post(page(Department, "add"), data | {"slug": "nights"}).status_code == 302

    def test_a_changed_short_name_too(self, supervisor, account):
        support = account.departments.get(slug="support")
        data = {"name": "Support", "slug": "sales", "left_messages_email": ""}
        assert "already" in str(errors(supervisor.post(page(Department, "change", support.pk), data)))

    @pytest.mark.parametrize("data", [{"slug": "A b"}, {"slug": ""}, {"name": ""}, {"left_messages_email": "nobody"}])
    def test_wrong_values_are_refused(self, supervisor, data):
        good = {"name": "Nights", "slug": "nights", "left_messages_email": ""}
        assert set(errors(supervisor.post(page(Department, "add"), good | data))) == set(data)
        assert not Department.objects.filter(name="Nights").exists()

    def test_there_are_never_too_many(self, supervisor, account, monkeypatch):
        monkeypatch.setitem(MOST, Department, 2)
        response = supervisor.post(page(Department, "add"), {"name": "Third", "slug": "third", "left_messages_email": ""})
        assert "At most 2 in one account" in str(errors(response))
        assert account.departments.count() == 2

    def test_support_staff_choose_the_account(self, support, account):
        data = {"name": "Nights", "slug": "nights", "left_messages_email": ""}
        assert "account" in errors(support.post(page(Department, "add"), data))
        assert support.post(page(Department, "add"), data | {"account": account.pk}).status_code == 302
        assert account.departments.filter(slug="nights").exists()


def new_person(**more):
    return {
        "name": "Nina", "username": "nina", "email": "", "role": "operator", "ui_language": "",
        "password1": "blue-lamp-71", "password2": "blue-lamp-71",
    } | more  # fmt: skip


def as_shown(operator, **more):
    return {
        "name": operator.name, "username": operator.username, "email": operator.email, "role": operator.role,
        "is_active": "on", "status": operator.status, "ui_language": operator.ui_language, "password1": "", "password2": "",
        "departments": [row.pk for row in operator.departments.all()],
        "languages": [row.pk for row in operator.languages.all()],
        "changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0",
    } | more  # fmt: skip


def change(browser, operator, **more):
    data = {name: value for name, value in as_shown(operator, **more).items() if value is not None}
    return browser.post(page(Operator, "change", operator.pk), data)


class TestPeople:
    def test_a_supervisor_adds_somebody_with_departments_and_languages(self, supervisor, account):
        data = new_person(departments=[account.departments.get(slug="sales").pk], languages=[account.languages.get(code="ru").pk])
        assert supervisor.post(page(Operator, "add"), data).status_code == 302
        nina = Operator.objects.get(username="nina")
        assert [row.slug for row in nina.departments.all()] == ["sales"]
        assert [row.code for row in nina.languages.all()] == ["ru"]
        assert nina.check_password("blue-lamp-71")
        assert nina.status == Status.OFFLINE

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({"password1": ""}, "password1"),
            ({"password2": "blue-lamp-72"}, "password2"),
            ({"password1": "short", "password2": "short"}, "password1"),
            ({"password1": "nina-nina-nina", "username": "nina-nina-nina", "password2": "nina-nina-nina"}, "password1"),
            ({"username": "two words"}, "username"),
            ({"username": "vera"}, "username"),
            ({"username": ""}, "username"),
            ({"role": "boss"}, "role"),
            ({"email": "nina"}, "email"),
        ],
    )
    def test_wrong_values_are_refused(self, supervisor, data, field):
        assert field in errors(supervisor.post(page(Operator, "add"), new_person(**data)))
        assert not Operator.objects.filter(name="Nina").exists()

    def test_support_staff_go_on_to_the_departments_of_the_account(self, support, account):
        response = support.post(page(Operator, "add"), new_person(account=account.pk))
        nina = Operator.objects.get(username="nina")
        assert response.url == page(Operator, "change", nina.pk)
        body = support.get(response.url).content.decode()
        assert "Sales" in body

    @pytest.mark.parametrize("role", ["operator", "supervisor"])
    def test_an_operator_needs_an_account(self, support, role):
        assert "account" in errors(support.post(page(Operator, "add"), new_person(role=role)))

    def test_support_staff_have_none(self, support, account):
        assert "account" in errors(support.post(page(Operator, "add"), new_person(role="support", account=account.pk)))
        assert support.post(page(Operator, "add"), new_person(role="support")).status_code == 302
        nina = Operator.objects.get(username="nina")
        assert nina.is_support
        assert support.get(page(Operator, "change", nina.pk)).status_code == 200

    def test_a_role_changes_between_operator_and_supervisor(self, supervisor, anna):
        assert change(supervisor, anna, role="supervisor").status_code == 302
        anna.refresh_from_db()
        assert anna.role == Role.SUPERVISOR

    def test_nobody_moves_into_or_out_of_the_support_staff(self, support, anna):
        assert "role" in errors(change(support, anna, role="support"))

    def test_departments_and_languages(self, supervisor, account, anna):
        sales, russian = account.departments.get(slug="sales"), account.languages.get(code="ru")
        assert change(supervisor, anna, departments=[sales.pk], languages=[russian.pk]).status_code == 302
        assert list(anna.departments.all()) == [sales]
        assert list(anna.languages.all()) == [russian]

    def test_an_archived_department_is_kept_and_not_offered_anew(self, supervisor, account, anna, boris):
        support = account.departments.get(slug="support")
        anna.departments.set([])
        act(supervisor, Department, "archive", support)
        assert change(supervisor, boris, name="Boris P.").status_code == 302
        assert list(boris.departments.all()) == [support]
        assert "departments" in errors(change(supervisor, anna, departments=[support.pk]))

    def test_saving_without_a_change_writes_no_status(self, supervisor, anna):
        people.go_online(anna)
        assert change(supervisor, anna).status_code == 302
        assert anna.changes.count() == 1  # the status itself

    def test_a_status_is_recorded_and_is_no_sign_of_life(self, supervisor, anna, vera):
        assert change(supervisor, anna, status="online").status_code == 302
        anna.refresh_from_db()
        assert (anna.status, anna.last_seen_at) == (Status.ONLINE, None)
        assert anna.changes.get().actor == vera
        assert "Vera" in supervisor.get(page(Operator, "change", anna.pk)).content.decode()

    def test_deactivation_ends_availability_and_session(self, supervisor, anna):
        people.go_online(anna)
        browser = Client()
        people.sign_in(browser, anna)
        assert browser.get("/").url == "/workspace/"
        assert change(supervisor, anna, is_active=None).status_code == 302
        anna.refresh_from_db()
        assert (anna.is_active, anna.last_seen_at) == (False, None)
        assert browser.get("/").url == "/accounts/login/"

    def test_deactivating_and_activating_from_the_list(self, supervisor, anna, boris, vera):
        body = act(supervisor, Operator, "deactivate", anna, boris, vera)
        assert "2 people deactivated" in body
        assert "You cannot deactivate yourself" in body
        assert set(Operator.objects.filter(is_active=True)) == {vera}
        act(supervisor, Operator, "activate", anna)
        anna.refresh_from_db()
        assert anna.is_active
        assert [row.slug for row in anna.departments.all()] == ["support"]

    @pytest.mark.parametrize(("field", "value"), [("is_active", None), ("role", "operator")])
    def test_nobody_locks_themselves_out(self, supervisor, vera, field, value):
        assert field in errors(change(supervisor, vera, **{field: value}))

    def test_a_new_password(self, supervisor, anna):
        assert change(supervisor, anna, password1="green-lamp-71", password2="green-lamp-71").status_code == 302
        anna.refresh_from_db()
        assert anna.check_password("green-lamp-71")

    def test_an_empty_password_changes_nothing(self, supervisor, anna):
        before = anna.password
        assert change(supervisor, anna, name="Anna O.").status_code == 302
        anna.refresh_from_db()
        assert (anna.name, anna.password) == ("Anna O.", before)

    def test_no_page_shows_a_hash(self, supervisor, anna):
        change(supervisor, anna, password1="green-lamp-71", password2="green-lamp-71")
        anna.refresh_from_db()
        for kind in ("change", "history"):
            assert anna.password not in supervisor.get(page(Operator, kind, anna.pk)).content.decode()

    def test_support_staff_are_deactivated_too(self, support):
        colleague = people.make_operator(None, "colleague")
        data = {"name": "C", "username": "colleague", "email": "", "role": "support", "ui_language": ""}
        assert support.post(page(Operator, "change", colleague.pk), data).status_code == 302
        colleague.refresh_from_db()
        assert not colleague.is_active

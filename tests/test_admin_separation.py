"""X1 and X2 in the admin, for every model: a supervisor's pages know of no account but the own one."""

import re
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from dialogs.actions.devices import set_token
from dialogs.actions.ledger import record_deliveries
from dialogs.models import Delivery, DeliveryStatus, Device, Dialog, Visitor
from notifications.models import OutgoingEmail
from operators.actions.parts import save_part
from operators.actions.people import set_password
from operators.actions.settings import record_changes
from operators.admin import AccountScopedAdmin
from operators.models import Account, ContactField, Department, Language, Operator, Role
from tests import people
from webim_offline.foundation.database.clock import database_now

FOREIGN = "Zanzibar"  # in every name of the other account
OURS = [model for model in admin.site._registry if model._meta.app_label in {"operators", "dialogs", "notifications"}]
WRITABLE = [Account, Department, Language, ContactField, Operator]


def fill(account: Account, mark: str) -> SimpleNamespace:
    """One row of every model, each named `mark`."""
    department = Department(account=account, slug=f"{mark.lower()}-care", name=f"{mark} care")
    save_part(department, actor=None)
    save_part(ContactField(account=account, label=f"{mark} card"), actor=None)
    language = Language.objects.filter(account=account).first()
    Language.objects.filter(pk=language.pk).update(offline_text=f"{mark} sleeps")
    operator = people.make_operator(
        account, f"{mark.lower()}-op", name=f"{mark} operator", departments=(department.slug,), languages=("en",)
    )
    visitor = people.make_visitor(account, name=f"{mark} visitor", email=f"{mark.lower()}@mail.example")
    dialog = people.start_dialog(account, visitor=visitor, text=f"{mark} question", department=department.slug)
    set_token(visitor.pk, device=f"{mark.lower()}-phone-of-{visitor.pk}", token=f"{mark.lower()}-push-{visitor.pk}")
    now = database_now()
    record_deliveries(
        [
            Delivery(
                dialog=dialog,
                key="k",
                recipient=f"{mark}@mail.example",
                status=DeliveryStatus.QUEUED,
                queued_at=now,
                updated_at=now,
            )
        ]
    )
    rows = {
        Account: account,
        Department: department,
        Language: language,
        ContactField: ContactField.objects.filter(account=account).latest("pk"),
        Operator: operator,
        Visitor: visitor,
        Dialog: dialog,
    }
    rows[OutgoingEmail] = OutgoingEmail.objects.create(
        account=account,
        dialog=dialog,
        kind="first",
        dedupe_key=mark,
        recipient=f"{mark}@mail.example",
        subject=f"{mark} letter",
        message_id=f"<{mark}@x>",
        told_revision=1,
        give_up_at=now,
        created_at=now,
    )
    return SimpleNamespace(rows=rows, department=department, language=language, operator=operator, dialog=dialog)


@pytest.fixture
def own(account):
    return fill(account, "Tea")


@pytest.fixture
def foreign(db):
    return fill(people.make_account("zanzibar", name=f"{FOREIGN} Coffee", departments=()), FOREIGN)


@pytest.fixture
def supervisor(client, vera, own, foreign):
    """Vera's browser; the other account is full of rows."""
    people.sign_in(client, vera)
    return client


def page(model, kind, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=args)


def test_every_model_of_ours_is_scoped_and_tested_here(own):
    assert set(OURS) <= set(own.rows)
    assert all(isinstance(admin.site._registry[model], AccountScopedAdmin) for model in OURS)


@pytest.mark.parametrize("model", OURS)
def test_lists_and_searches_show_only_the_own_account(supervisor, own, foreign, model):
    for query in ({}, {"q": FOREIGN}, {"q": str(foreign.dialog.number)}, {"account": foreign.department.account_id}, {"all": ""}):
        response = supervisor.get(page(model, "changelist"), query)
        assert response.status_code == (400 if model is Account and "account" in query else 200)
        body = response.content.decode().replace(f'value="{FOREIGN}"', "")
        body = re.sub(r'(href|action|value)="[^"]*"', "", body)
        assert FOREIGN not in body, query
    assert set(supervisor.get(page(model, "changelist")).context["cl"].queryset) >= {own.rows[model]}
    assert foreign.rows[model] not in supervisor.get(page(model, "changelist")).context["cl"].queryset


@pytest.mark.parametrize("kind", ["change", "delete", "history"])
@pytest.mark.parametrize("model", OURS)
def test_another_accounts_object_is_as_missing_as_a_missing_one(supervisor, vera, foreign, model, kind, caplog):
    for method in (supervisor.get, supervisor.post):
        caplog.clear()
        theirs = method(page(model, kind, foreign.rows[model].pk), {"post": "yes"})
        missing = method(page(model, kind, 999_999), {"post": "yes"})
        assert (theirs.status_code, theirs.get("Location")) == (missing.status_code, missing.get("Location"))
        assert theirs.status_code in {302, 403}
        assert FOREIGN not in theirs.content.decode()
        # a missing row is no denial; where the role may not do this at all, that is what is told
        told = [line for line in (record.getMessage() for record in caplog.records) if "row_of_another_account" in line]
        who = f"event=denial outcome=refused operator={vera.pk} account={vera.account_id} network=127.0.0.1"
        assert [line.startswith(who) for line in told] == ([True] if theirs.status_code == 302 else [])
    assert model.objects.filter(pk=foreign.rows[model].pk).exists()
    assert FOREIGN not in supervisor.get("/admin/").content.decode(), "the message names nobody"


@pytest.mark.parametrize("model", OURS)
def test_own_objects_open(supervisor, own, model):
    for kind in ("change", "history"):
        response = supervisor.get(page(model, kind, own.rows[model].pk))
        assert response.status_code == 200
        assert FOREIGN not in response.content.decode()


@pytest.mark.parametrize("model", WRITABLE)
def test_forms_offer_no_choice_of_another_account(supervisor, own, model):
    pages = [page(model, "change", own.rows[model].pk)]
    if model is not Account:
        pages.append(page(model, "add"))
    for address in pages:
        response = supervisor.get(address)
        assert response.status_code == 200
        assert FOREIGN not in response.content.decode()
        assert "account" not in response.context["adminform"].form.fields


@pytest.mark.parametrize("model", OURS)
def test_filters_offer_nothing_of_another_account(supervisor, model):
    response = supervisor.get(page(model, "changelist"))
    for spec in response.context["cl"].filter_specs:
        assert FOREIGN not in str(list(spec.choices(response.context["cl"])))


@pytest.mark.parametrize(
    ("app", "model", "field"),
    [
        ("operators", "department", "account"),
        ("operators", "operator", "departments"),
        ("operators", "operator", "languages"),
        ("operators", "operator", "account"),
        ("dialogs", "dialog", "visitor"),
        ("dialogs", "dialog", "operator"),
        ("dialogs", "message", "dialog"),
        ("operators", "settingchange", "account"),
    ],
)
def test_autocomplete_finds_nothing_of_another_account(supervisor, app, model, field):
    for term in ("", FOREIGN, "zanzibar"):
        response = supervisor.get(
            "/admin/autocomplete/", {"app_label": app, "model_name": model, "field_name": field, "term": term}
        )
        assert response.status_code in {200, 403}
        assert FOREIGN not in response.content.decode()
        if response.status_code == 200 and term:
            assert response.json()["results"] == []


class TestHandMadePosts:
    """What no form offers cannot be sent either."""

    def test_a_new_department_belongs_to_the_own_account(self, supervisor, account, foreign):
        data = {"name": "Nights", "slug": "nights", "left_messages_email": "", "account": foreign.department.account_id}
        assert supervisor.post(page(Department, "add"), data).status_code == 302
        assert Department.objects.get(slug="nights").account == account

    @pytest.mark.parametrize(
        ("model", "data"),
        [
            (Language, {"code": "de", "position": "5", "offline_text": ""}),
            (ContactField, {"label": "Card", "requirement": "off", "position": "1"}),
        ],
    )
    def test_new_parts_too(self, supervisor, account, foreign, model, data):
        assert supervisor.post(page(model, "add"), data | {"account": foreign.department.account_id}).status_code == 302
        assert model.objects.latest("pk").account == account

    def test_a_departments_account_never_changes(self, supervisor, own, account, foreign):
        data = {"name": "Moved", "slug": "moved", "left_messages_email": "", "account": foreign.department.account_id}
        supervisor.post(page(Department, "change", own.department.pk), data)
        own.department.refresh_from_db()
        assert (own.department.name, own.department.account) == ("Moved", account)

    def person(self, **more):
        return {
            "name": "Nina", "username": "nina", "email": "", "role": "operator", "ui_language": "", "password1": "blue-lamp-71",
            "password2": "blue-lamp-71",
        } | more  # fmt: skip

    def test_a_new_person_is_of_the_own_account_and_no_staff(self, supervisor, account, foreign):
        extra = {"account": foreign.department.account_id, "is_staff": "on", "is_superuser": "on", "groups": "1"}
        assert supervisor.post(page(Operator, "add"), self.person(**extra)).status_code == 302
        nina = Operator.objects.get(username="nina")
        assert (nina.account, nina.role, nina.is_staff) == (account, Role.OPERATOR, False)
        assert nina.check_password("blue-lamp-71")

    def test_nobody_is_made_support_staff(self, supervisor, own):
        response = supervisor.post(page(Operator, "add"), self.person(role="support"))
        assert "role" in response.context["adminform"].form.errors
        assert not Operator.objects.filter(username="nina").exists()
        response = supervisor.post(page(Operator, "change", own.operator.pk), self.change(own.operator, role="support"))
        assert "role" in response.context["adminform"].form.errors
        own.operator.refresh_from_db()
        assert own.operator.role == Role.OPERATOR

    def change(self, operator, **more):
        return {
            "name": operator.name, "username": operator.username, "email": operator.email, "role": operator.role,
            "is_active": "on", "status": operator.status, "ui_language": "", "password1": "", "password2": "",
            "departments": [row.pk for row in operator.departments.all()],
            "languages": [row.pk for row in operator.languages.all()],
            "changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0",
        } | more  # fmt: skip

    def test_the_own_password_opens_no_more_than_the_role_may(self, client, vera, own, foreign):
        """Long after signing in, with the right password: what no form offers stays as it was, also on the page that asks."""
        set_password(vera, people.PASSWORD)
        client.force_login(vera)
        extra = {"account": foreign.department.account_id, "is_staff": "on", "is_superuser": "on", "email": "new@mail.example"}
        address = page(Operator, "change", own.operator.pk)
        asked = client.post(address, self.change(own.operator, **extra)).content.decode()
        assert 'name="own_password"' in asked
        assert FOREIGN not in asked
        refused = self.change(own.operator, **extra, own_password=people.PASSWORD) | {"role": "support"}
        assert "role" in client.post(address, refused).context["adminform"].form.errors
        assert client.post(address, self.change(own.operator, **extra)).status_code == 302, "the password was right"
        own.operator.refresh_from_db()
        assert (own.operator.email, own.operator.role, own.operator.account) == ("new@mail.example", Role.OPERATOR, vera.account)

    @pytest.mark.parametrize("action", ["activate", "deactivate"])
    def test_one_persons_confirmation_is_not_anothers(self, account, vera, own, action):
        sofia, browser, other = people.make_operator(account, "sofia", role="supervisor"), Client(), Client()
        people.sign_in(browser, vera)
        other.force_login(sofia)
        before = Operator.objects.values().get(pk=own.operator.pk)
        data = {"action": action, "_selected_action": [own.operator.pk]}
        assert 'name="own_password"' in other.post(page(Operator, "changelist"), data).content.decode()
        assert Operator.objects.values().get(pk=own.operator.pk) == before
        assert browser.post(page(Operator, "changelist"), data).status_code == 302

    @pytest.mark.parametrize("field", ["departments", "languages"])
    def test_nobody_gets_a_foreign_department_or_language(self, supervisor, own, foreign, field):
        row = {"departments": foreign.department, "languages": foreign.language}[field]
        for address, data in (
            (page(Operator, "change", own.operator.pk), self.change(own.operator, **{field: [row.pk]})),
            (page(Operator, "add"), self.person(**{field: [row.pk]})),
        ):
            response = supervisor.post(address, data)
            assert field in response.context["adminform"].form.errors
            assert FOREIGN not in response.content.decode()
        assert row not in getattr(own.operator, field).all()
        assert not Operator.objects.filter(username="nina").exists()

    def test_support_only_settings_stay(self, supervisor, account):
        data = {
            "name": "Northern Tea", "time_zone": "Europe/Moscow", "left_messages_email": "a@tea.example",
            "widget_offline_mode": "hidden",
            "contact_name": "off", "contact_email": "optional", "contact_phone": "required", "privacy_url": "",
            "slug": "stolen", "left_messages_in_workspace": "", "operator_lease": "1", "visit_lease": "1", "left_notice_after": "1",
            "offline_after": "1", "visible_online_dialogs": "1", "visible_offline_dialogs": "1", "archived_at_0": "2020-01-01",
            "max_online_dialogs": "1", "max_offline_dialogs": "1", "reopen_window": "1",
            "assignment": "automatic", "pickup_timeout": "30", "close_after": "3600",
            "setting_changes-TOTAL_FORMS": "0", "setting_changes-INITIAL_FORMS": "0",
        }  # fmt: skip
        assert supervisor.post(page(Account, "change", account.pk), data).status_code == 302
        account.refresh_from_db()
        assert (account.name, account.widget_offline_mode, account.contact_phone) == ("Northern Tea", "hidden", "required")
        assert account.slug == "north-tea"
        assert account.left_messages_in_workspace
        assert (account.operator_lease, account.visit_lease, account.left_notice_after, account.offline_after) == (
            60,
            30,
            120,
            1200,
        )
        assert (account.visible_online_dialogs, account.visible_offline_dialogs, account.archived_at) == (100, 50, None)
        assert (account.max_online_dialogs, account.max_offline_dialogs, account.reopen_window) == (0, 0, 600)
        assert (account.assignment, account.pickup_timeout, account.close_after) == ("automatic", 30, 3600)

    def test_no_account_is_added(self, supervisor):
        before = Account.objects.count()
        assert supervisor.post(page(Account, "add"), {"name": "Mine", "slug": "mine", "language_codes": "en"}).status_code == 403
        account = Account.objects.first()
        assert supervisor.post(page(Account, "change", account.pk), {"_saveasnew": "1"}).status_code == 403
        assert Account.objects.count() == before

    @pytest.mark.parametrize(
        ("model", "action"),
        [
            (Department, "archive"),
            (Department, "restore"),
            (Language, "archive"),
            (Operator, "deactivate"),
            (Dialog, "bring"),
            (Account, "archive"),
            (Department, "delete_selected"),
            (Operator, "delete_selected"),
        ],
    )
    def test_actions_reach_only_own_rows(self, supervisor, foreign, model, action):
        Dialog.objects.filter(pk=foreign.dialog.pk).update(in_workspace=False)
        row = foreign.rows[model]
        before = model.objects.values().get(pk=row.pk)
        supervisor.post(page(model, "changelist"), {"action": action, "_selected_action": [row.pk], "post": "yes"})
        supervisor.post(
            page(model, "changelist"), {"action": action, "select_across": "1", "_selected_action": [row.pk], "post": "yes"}
        )
        assert model.objects.values().get(pk=row.pk) == before

    @pytest.mark.parametrize("model", [Dialog, Visitor])
    def test_dialogs_and_visitors_are_not_edited(self, supervisor, own, model):
        row = own.rows[model]
        assert supervisor.post(page(model, "change", row.pk), {"name": "x"}).status_code == 403
        assert supervisor.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert supervisor.post(page(model, "add"), {}).status_code == 403


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (Operator, {"password__startswith": "a"}),
        (Operator, {"departments__account__name": FOREIGN}),
        (Operator, {"account__slug": "zanzibar"}),
        (Visitor, {"token_digest__startswith": "a"}),
        (Dialog, {"operator__password__startswith": "a"}),
        (Dialog, {"visitor__token_digest__startswith": "a"}),
        (Dialog, {"department__account__name__startswith": "Z"}),
        (Dialog, {"department__operators__password__contains": "x"}),
        (Account, {"operators__username": "vera"}),
    ],
)
def test_a_lists_address_asks_only_what_its_filters_ask(supervisor, model, query):
    assert supervisor.get(page(model, "changelist"), query).status_code == 400


def test_a_foreign_department_in_a_filter_finds_nothing(supervisor, foreign):
    response = supervisor.get(page(Dialog, "changelist"), {"department__id__exact": foreign.department.pk})
    assert list(response.context["cl"].queryset) == []


@pytest.mark.parametrize("query", [{"account": "x"}, {"account": "9" * 40}, {"q": "9" * 60}, {"department__id__exact": "x"}])
def test_nonsense_in_an_address_is_no_error(supervisor, client, query):
    assert supervisor.get(page(Dialog, "changelist"), query).status_code in {200, 302}
    people.sign_in(client, people.make_operator(None, "help"))
    assert client.get(page(Dialog, "changelist"), query).status_code in {200, 302}


def test_the_index_shows_only_what_the_role_may_see(supervisor, client):
    body = supervisor.get("/admin/").content.decode()
    assert "/admin/operators/account/" in body
    for hidden in ("django_celery_beat", "/admin/auth/", "/admin/sessions/"):
        assert hidden not in body
    people.sign_in(client, people.make_operator(None, "help"))
    body = client.get("/admin/").content.decode()
    assert "django_celery_beat" not in body
    assert "/admin/auth/group/" not in body, "rights follow from the role alone"


@pytest.mark.parametrize("role", ["supervisor", "support"])
def test_nobody_has_pages_of_the_schedule(supervisor, client, role):
    """They could switch sweeps and letters off, or run any task."""
    if role == "support":
        people.sign_in(client, people.make_operator(None, "help"))
    models = [model for model in admin.site._registry if model._meta.app_label == "django_celery_beat"]
    assert models == []
    every = IntervalSchedule.objects.create(every=1, period="days")
    task = PeriodicTask.objects.create(name="send due letters", task="notifications.tasks.send_letters", interval=every)
    for model in ("periodictask", "intervalschedule", "crontabschedule", "solarschedule", "clockedschedule"):
        for rest in ("", "add/", f"{task.pk}/change/", f"{task.pk}/delete/"):
            assert client.get(f"/admin/django_celery_beat/{model}/{rest}").status_code == 404
    for action in ("disable_tasks", "run_tasks", "delete_selected"):
        data = {"action": action, "_selected_action": [task.pk], "post": "yes"}
        assert client.post("/admin/django_celery_beat/periodictask/", data).status_code == 404
    task.refresh_from_db()
    assert task.enabled


def test_history_names_no_login_of_the_support_staff(supervisor, client, account):
    help_ = people.make_operator(None, "help-desk-login", name="Hidden Helper")
    LogEntry.objects.create(
        user=help_, content_type=ContentType.objects.get_for_model(Account), object_id=str(account.pk), object_repr="x",
        action_flag=CHANGE, change_message="Looked",
    )  # fmt: skip
    record_changes(account, [("name", "a", "b")], actor=help_)
    for kind in ("history", "change"):
        body = supervisor.get(page(Account, kind, account.pk)).content.decode()
        assert "Support staff" in body
        assert "help-desk-login" not in body
        assert "Hidden Helper" not in body
    people.sign_in(client, help_)
    assert "Hidden Helper" in client.get(page(Account, "history", account.pk)).content.decode()


def test_a_token_digest_is_shown_to_nobody(supervisor, client, own):
    visitor = own.rows[Visitor]
    assert visitor.token_digest not in supervisor.get(page(Visitor, "change", visitor.pk)).content.decode()
    people.sign_in(client, people.make_operator(None, "help"))
    for address in (page(Visitor, "change", visitor.pk), page(Visitor, "changelist")):
        assert visitor.token_digest not in client.get(address).content.decode()


def test_devices_are_shown_shortened_and_to_their_account_alone(supervisor, client, own, foreign):
    theirs, ours = Device.objects.get(visitor=foreign.rows[Visitor]), Device.objects.get(visitor=own.rows[Visitor])
    body = supervisor.get(page(Visitor, "change", own.rows[Visitor].pk)).content.decode()
    people.sign_in(client, people.make_operator(None, "help"))
    for seen, device in ((body, ours), (client.get(page(Visitor, "change", theirs.visitor_id)).content.decode(), theirs)):
        assert f"{device.key[:8]}…" in seen
        assert f"{device.token[:6]}…" in seen
        assert device.key not in seen
        assert device.token not in seen
    assert theirs.token[:6] not in body


def test_support_staff_see_every_account_and_choose_one(client, own, foreign):
    people.sign_in(client, people.make_operator(None, "help"))
    for model in OURS:
        response = client.get(page(model, "changelist"))
        assert response.status_code == 200
        assert set(response.context["cl"].queryset) >= {own.rows[model], foreign.rows[model]}
        if model is not Account:
            chosen = client.get(page(model, "changelist"), {"account": foreign.department.account_id}).context["cl"].queryset
            assert foreign.rows[model] in chosen
            assert own.rows[model] not in chosen
    response = client.get(page(Dialog, "changelist"), {"account": foreign.department.account_id})
    assert f"{FOREIGN} care" in response.content.decode()


def test_a_list_takes_the_same_queries_with_many_rows(account, vera, own):
    lists = []
    for person in (vera, people.make_operator(None, "help")):
        client = Client()
        people.sign_in(client, person)
        lists += [(client, model) for model in OURS]

    def queries(client, model):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(page(model, "changelist")).status_code == 200
        return [query["sql"] for query in captured]

    for client, model in lists:
        queries(client, model)
    before = [len(queries(client, model)) for client, model in lists]
    for serial in range(12):
        fill(account, f"Tea{serial}")
        fill(people.make_account(f"extra-{serial}", departments=()), f"Tea{12 + serial}")
    for (client, model), few in zip(lists, before, strict=True):
        after = queries(client, model)
        assert len(after) == few, "\n".join(after)

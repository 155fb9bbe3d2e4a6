"""An account's settings in the admin: who may change what, what is refused, what is recorded (M1, M5, M7, M9, P5)."""

import pytest
from django.urls import reverse

from operators.actions.parts import archive
from operators.actions.settings import change_settings
from operators.models import Account, Language, SettingChange
from tests import people
from webim_offline.foundation.environment import MailServer

FORM = {"left_messages_email": "left@tea.example", "left_messages_in_workspace": "on"}
OFF = {"left_messages_in_workspace": None}


@pytest.fixture
def mail(settings):
    settings.MAIL_SERVER = MailServer(host="127.0.0.1", port=25)


@pytest.fixture
def help_(client, db):
    """Support staff, signed in."""
    operator = people.make_operator(None, "help")
    people.sign_in(client, operator)
    return operator


def filled(client, address):
    """The form of a page as its browser would send it back."""
    form = client.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    shown = {name: "on" if value is True else value for name, value in values.items() if value is not None and value is not False}
    return shown | {"setting_changes-TOTAL_FORMS": "0", "setting_changes-INITIAL_FORMS": "0"}


def save(client, account, *, follow=False, **changes):
    """Send an account's form with FORM and `changes`; None: as if that field were not there."""
    address = reverse("admin:operators_account_change", args=[account.pk])
    data = {name: value for name, value in (filled(client, address) | FORM | changes).items() if value is not None}
    return client.post(address, data, follow=follow)


def errors(response):
    assert response.status_code == 200, "it was saved"
    return response.context["adminform"].form.errors


def recorded(account):
    """(setting, before, after) of each change; a part's setting after its kind and short name."""
    return [
        (
            f"{change.kind} {change.target_name}: {change.setting}" if change.target_name else change.setting,
            change.before,
            change.after,
        )
        for change in account.setting_changes.order_by("pk")
    ]


class TestSwitchingOff:
    """M7: left messages may be kept out of the workspace only while mail can take them."""

    def test_with_an_address_and_a_mail_server(self, client, account, help_, mail):
        assert save(client, account, **OFF).status_code == 302
        account.refresh_from_db()
        assert not account.left_messages_in_workspace
        assert recorded(account) == [
            ("left_messages_email", "", "left@tea.example"),
            ("left_messages_in_workspace", True, False),
        ]

    def test_not_without_an_address(self, client, account, help_, mail):
        assert "left_messages_email" in errors(save(client, account, left_messages_email="", **OFF))

    def test_not_with_a_wrong_address(self, client, account, help_, mail):
        assert "left_messages_email" in errors(save(client, account, left_messages_email="left@, x", **OFF))

    def test_not_with_commas_for_an_address(self, client, account, help_, mail):
        assert "left_messages_email" in errors(save(client, account, left_messages_email=" , ,", **OFF))

    def test_not_without_a_mail_server(self, client, account, help_, settings):
        settings.MAIL_SERVER = None
        assert "left_messages_in_workspace" in errors(save(client, account, **OFF))

    @pytest.mark.parametrize("role", ["support", "supervisor"])
    @pytest.mark.parametrize("email", ["", " ", ","])
    def test_the_address_cannot_be_removed_while_it_is_off(self, client, account, vera, help_, mail, role, email):
        save(client, account, **OFF)
        if role == "supervisor":
            people.sign_in(client, vera)
        before = recorded(account)
        assert "left_messages_email" in errors(save(client, account, left_messages_email=email, **OFF))
        account.refresh_from_db()
        assert account.left_messages_email == "left@tea.example"
        assert recorded(account) == before

    def test_a_supervisor_may_change_the_address_while_it_is_off(self, client, account, vera, help_, mail):
        save(client, account, **OFF)
        people.sign_in(client, vera)
        assert save(client, account, left_messages_email="new@tea.example").status_code == 302
        account.refresh_from_db()
        assert account.left_messages_email == "new@tea.example"
        assert not account.left_messages_in_workspace

    def test_a_supervisor_sees_the_switch_and_cannot_turn_it(self, client, account, vera, mail):
        people.sign_in(client, vera)
        body = client.get(reverse("admin:operators_account_change", args=[account.pk])).content.decode()
        assert "Left messages reach the workspace" in body
        assert 'name="left_messages_in_workspace"' not in body
        assert save(client, account, **OFF).status_code == 302
        account.refresh_from_db()
        assert account.left_messages_in_workspace

    def test_nothing_is_written_when_anything_is_wrong(self, client, account, help_, mail):
        errors(save(client, account, name="Renamed", left_messages_email="", **OFF))
        account.refresh_from_db()
        assert account.name == "North Tea"
        assert recorded(account) == []

    def test_what_changed_between_the_check_and_the_writing_is_said_and_not_written(
        self, client, account, help_, settings, monkeypatch
    ):
        settings.MAIL_SERVER = None
        monkeypatch.setattr("operators.forms.check_left_messages", lambda **_: None)
        response = save(client, account, follow=True, **OFF)
        assert "left messages would reach nobody" in response.content.decode()
        account.refresh_from_db()
        assert account.left_messages_in_workspace
        assert recorded(account) == []


class TestTimes:
    """P5 and interfaces.md: whole seconds from 0 to 30 days."""

    @pytest.mark.parametrize(("notice", "offline"), [("120", "120"), ("0", "60"), ("600", "0"), ("0", "0"), ("2592000", "2592000")])
    def test_allowed(self, client, account, help_, notice, offline):
        assert save(client, account, left_notice_after=notice, offline_after=offline).status_code == 302
        account.refresh_from_db()
        assert (account.left_notice_after, account.offline_after) == (int(notice), int(offline))

    def test_offline_before_the_message_is_refused_at_its_field(self, client, account, help_):
        found = errors(save(client, account, left_notice_after="121", offline_after="120"))
        assert list(found) == ["offline_after"]
        assert "121" in str(found["offline_after"])

    @pytest.mark.parametrize("field", ["left_notice_after", "offline_after", "visit_lease", "operator_lease"])
    @pytest.mark.parametrize("value", ["-1", "2592001", "1.5", "", "ten", "9" * 30])
    def test_refused(self, client, account, help_, field, value):
        assert field in errors(save(client, account, **{field: value}))
        assert recorded(account) == []

    @pytest.mark.parametrize("field", ["visible_online_dialogs", "visible_offline_dialogs"])
    def test_shown_dialogs_are_bounded(self, client, account, help_, field):
        assert field in errors(save(client, account, **{field: "501"}))

    def test_a_changed_time_waits_for_the_running_dialogs(self, client, account, help_):
        before = account.timeouts_changed_at
        save(client, account, left_notice_after="10", offline_after="20")
        account.refresh_from_db()
        assert account.timeouts_changed_at > before
        assert account.setting_changes.filter(handled_at=None).count() == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("slug", "North Tea"),
        ("slug", ""),
        ("name", ""),
        ("name", "x" * 121),
        ("privacy_url", "javascript:alert(1)"),
        ("contact_email", "always"),
        ("widget_offline_mode", "maybe"),
        ("left_messages_email", "a@b.example c@d.example"),
        ("left_messages_email", ", ".join(f"p{n}@tea.example" for n in range(11))),
        ("left_messages_email", "left@tea.example\nBcc: all@tea.example"),
    ],
)
def test_wrong_values_are_refused_at_their_field(client, account, help_, field, value):
    assert field in errors(save(client, account, **{field: value}))
    account.refresh_from_db()
    assert recorded(account) == []


def test_each_change_is_recorded_with_who_and_when(client, account, vera):
    people.sign_in(client, vera)
    save(client, account, name="Northern Tea", contact_phone="required")
    changes = {change.setting: change for change in account.setting_changes.all()}
    assert set(changes) == {"name", "contact_phone", "left_messages_email"}
    assert all(change.actor == vera for change in changes.values())
    body = client.get(reverse("admin:operators_account_change", args=[account.pk])).content.decode()
    assert "History of changes" in body
    assert "Northern Tea" in body


def test_saving_without_a_change_records_nothing(client, account, help_):
    save(client, account)
    before = recorded(account)
    assert save(client, account, left_messages_email=" left@tea.example,, left@tea.example ").status_code == 302
    assert recorded(account) == before


def test_the_history_shows_the_latest_fifty_first(client, account, vera, help_):
    for serial in range(60):
        change_settings(account, {"name": f"Tea no. {serial:02}"}, actor=vera)
    formset = client.get(reverse("admin:operators_account_change", args=[account.pk])).context["inline_admin_formsets"][0].formset
    shown = [row.after for row in formset.get_queryset()]
    assert shown == [f"Tea no. {serial:02}" for serial in range(59, 9, -1)]


def test_the_admin_warns_while_no_address_is_set(client, account, vera):
    """M1."""
    people.sign_in(client, vera)
    address = reverse("admin:operators_account_change", args=[account.pk])
    words = "No address is set for left messages"
    assert words in client.get(address).content.decode()
    assert words in save(client, account, follow=True, left_messages_email="").content.decode()
    assert words not in save(client, account, follow=True).content.decode()


def test_the_admin_warns_while_no_mail_server_is_configured(client, account, help_, settings):
    address = reverse("admin:operators_account_change", args=[account.pk])
    settings.MAIL_SERVER = None
    assert "No mail server is configured" in client.get(address).content.decode()
    settings.MAIL_SERVER = MailServer(host="127.0.0.1", port=25)
    assert "No mail server is configured" not in client.get(address).content.decode()


class TestNewAccount:
    def add(self, client, **changes):
        address = reverse("admin:operators_account_add")
        named = {"name": "North Tea", "slug": "north-tea", "language_codes": "ru, en"}
        data = filled(client, address) | FORM | named | changes
        return client.post(address, {name: value for name, value in data.items() if value is not None})

    def test_it_answers_in_at_least_one_language(self, client, help_):
        assert self.add(client).status_code == 302
        account = Account.objects.get()
        assert [language.code for language in account.languages.all()] == ["ru", "en"]

    def test_one_language_is_filled_in_already(self, client, help_):
        form = client.get(reverse("admin:operators_account_add")).context["adminform"].form
        assert form.initial["language_codes"] == "en"

    @pytest.mark.parametrize("codes", ["", ",", "english", "EN", "r", "ru, 12"])
    def test_wrong_languages_are_refused(self, client, help_, codes):
        assert "language_codes" in errors(self.add(client, language_codes=codes))
        assert not Account.objects.exists()
        assert not Language.objects.exists()

    def test_a_short_name_is_taken_once(self, client, account, help_):
        assert "slug" in errors(self.add(client))
        assert Account.objects.count() == 1

    def test_it_cannot_start_switched_off_without_mail(self, client, help_, settings):
        settings.MAIL_SERVER = None
        assert "left_messages_in_workspace" in errors(self.add(client, **OFF))


class TestArchivedAccount:
    def act(self, client, account, action):
        return client.post(
            reverse("admin:operators_account_changelist"), {"action": action, "_selected_action": [account.pk]}, follow=True
        )

    def test_support_staff_archive_and_bring_back(self, client, account, anna, help_):
        people.go_online(anna)
        assert "1 row archived" in self.act(client, account, "archive").content.decode()
        account.refresh_from_db()
        anna.refresh_from_db()
        assert account.archived_at
        assert anna.last_seen_at is None
        self.act(client, account, "restore")
        account.refresh_from_db()
        assert account.archived_at is None
        assert [field for field, _old, _new in recorded(account)] == ["archived_at", "archived_at"]

    def test_an_account_is_never_deleted(self, client, account, help_):
        assert client.post(reverse("admin:operators_account_delete", args=[account.pk]), {"post": "yes"}).status_code == 403
        assert Account.objects.filter(pk=account.pk).exists()

    def test_a_supervisor_cannot(self, client, account, vera):
        people.sign_in(client, vera)
        self.act(client, account, "archive")
        account.refresh_from_db()
        assert account.archived_at is None


def test_a_change_of_a_department_is_recorded_too(client, account, vera):
    people.sign_in(client, vera)
    support = account.departments.get(slug="support")
    address = reverse("admin:operators_department_change", args=[support.pk])
    client.post(address, {"name": "Care", "slug": "support", "left_messages_email": "care@tea.example"})
    assert recorded(account) == [
        ("department support: name", "Support", "Care"),
        ("department support: left_messages_email", "", "care@tea.example"),
    ]
    archive(support)
    body = client.get(reverse("admin:operators_account_change", args=[account.pk])).content.decode()
    assert "department support: For left messages" in body
    assert SettingChange.objects.filter(handled_at=None).count() == 0

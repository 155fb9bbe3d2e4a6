"""Every setting of an account accepts exactly what interfaces.md says, from code and by a hand-made POST (M9, P5, Q5)."""

import math
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from operators.actions.settings import change_settings
from operators.admin.accounts import SUPERVISORS_SETTINGS
from operators.models import LONGEST_TIME, Account, SettingChange
from tests import people

# interfaces.md, "Settings of an account": field -> default, allowed, refused of the right kind
TIME = [0, 1, LONGEST_TIME], [-1, LONGEST_TIME + 1, 10**12, -(10**12), 10**30]
SHOWN = [0, 1, 500], [-1, 501, 10**12]
REQUIREMENT = ["off", "optional", "required"], ["", "always", "Off", "x" * 10_000]
TABLE = {
    "left_messages_email": ("", ["", "a@b.example", "a@b.example, c@d.example"], ["a", "a@b.example c@d.example", "x" * 2000]),
    "left_messages_in_workspace": (True, [True], []),
    "operator_lease": (60, *TIME),
    "visit_lease": (30, *TIME),
    "left_notice_after": (120, [0, 1, 1200], [-1, LONGEST_TIME + 1, 10**12, 10**30]),
    "offline_after": (1200, [0, 120, LONGEST_TIME], [-1, 1, 119, LONGEST_TIME + 1, 10**12, 10**30]),
    "visible_online_dialogs": (100, *SHOWN),
    "visible_offline_dialogs": (50, *SHOWN),
    "widget_offline_mode": ("form", ["form", "hidden"], ["", "maybe", "FORM"]),
    "contact_name": ("optional", *REQUIREMENT),
    "contact_email": ("required", *REQUIREMENT),
    "contact_phone": ("off", *REQUIREMENT),
}
NUMBERS = [name for name, (default, _, _) in TABLE.items() if type(default) is int]
NO_NUMBERS = [1.5, 300.0, "300", "1e3", "", None, True, math.nan, math.inf, Decimal("1.5"), [], b"1"]


def refused(account, **changes):
    """The fields the refusal names; nothing may be written."""
    before = Account.objects.filter(pk=account.pk).values().get()
    with pytest.raises(ValidationError) as refusal:
        change_settings(account, changes, actor=None)
    assert Account.objects.filter(pk=account.pk).values().get() == before
    assert not SettingChange.objects.exists()
    return set(refusal.value.message_dict)


@pytest.mark.parametrize("name", TABLE)
def test_defaults(account, name):
    assert getattr(Account.objects.get(), name) == TABLE[name][0]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, allowed, _) in TABLE.items() for value in allowed])
def test_allowed(account, name, value):
    change_settings(account, {name: value}, actor=None)
    account.refresh_from_db()
    assert getattr(account, name) == value


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, _, wrong) in TABLE.items() for value in wrong])
def test_refused(account, name, value):
    assert refused(account, **{name: value}) == {name}


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("name", NUMBERS)
def test_only_whole_numbers_are_numbers(account, name, value):
    assert refused(account, **{name: value}) == {name}


@pytest.mark.parametrize("value", [0, 1, "on", "False", None], ids=repr)
def test_a_switch_is_on_or_off(account, value):
    assert refused(account, left_messages_in_workspace=value) == {"left_messages_in_workspace"}


@pytest.mark.parametrize("value", [None, 5, b"x"], ids=repr)
@pytest.mark.parametrize("name", ["name", "left_messages_email", "contact_name", "privacy_url", "sites", "time_zone"])
def test_a_text_is_a_text(account, name, value):
    assert refused(account, **{name: value}) == {name}


@pytest.mark.parametrize(
    ("name", "typed", "stored"),
    [
        ("name", "a\x00b", "ab"),
        ("name", "North\u202e Tea\r\n", "North Tea"),
        ("name", "Cafe\u0301", "Café"),
        ("privacy_url", "https://shop.example/\x00policy", "https://shop.example/policy"),
        ("left_messages_email", "Anna <a@b.example>;\r\n\u200ec@d.example\x00", "a@b.example, c@d.example"),
    ],
)
def test_a_text_is_stored_clean(account, name, typed, stored):
    change_settings(account, {name: typed}, actor=None)
    account.refresh_from_db()
    assert getattr(account, name) == stored
    assert change_settings(account, {name: typed}, actor=None) == [], "the same again is no change"


@pytest.mark.parametrize("name", ["id", "pk", "created_at", "archived_at", "timeouts_changed_at", "is_superuser", "", "x" * 999])
def test_what_is_no_setting_cannot_be_changed(account, name):
    assert refused(account, **{name: 1}) == {name[:60]}


class TestTheTwoTimeoutsTogether:
    """P5: `offline_after` is at least `left_notice_after`, unless one of them is 0."""

    @pytest.mark.parametrize(("notice", "offline"), [(120, 120), (0, 1), (LONGEST_TIME, 0), (0, 0), (LONGEST_TIME, LONGEST_TIME)])
    def test_allowed(self, account, notice, offline):
        change_settings(account, {"left_notice_after": notice, "offline_after": offline}, actor=None)
        account.refresh_from_db()
        assert (account.left_notice_after, account.offline_after) == (notice, offline)

    @pytest.mark.parametrize(
        "changes",
        [
            {"offline_after": 119},
            {"left_notice_after": 1201},
            {"left_notice_after": 300, "offline_after": 299},
            {"left_notice_after": LONGEST_TIME, "offline_after": 1},
        ],
    )
    def test_refused(self, account, changes):
        assert refused(account, **changes) == {"offline_after"}

    def test_one_wrong_value_keeps_the_right_ones_out(self, account):
        assert refused(account, name="Northern Tea", left_notice_after=60, offline_after=59) == {"offline_after"}

    def test_what_another_has_stored_meanwhile_counts(self, account):
        """The caller's copy of the account is old: what is stored decides."""
        change_settings(Account.objects.get(), {"left_notice_after": 600}, actor=None)
        assert account.left_notice_after == 120
        with pytest.raises(ValidationError):
            change_settings(account, {"offline_after": 599}, actor=None)


def test_the_moment_is_stored_when_a_timeout_changed_and_only_then(account):
    before = Account.objects.get().timeouts_changed_at
    change_settings(account, {"name": "Northern Tea", "visit_lease": 10, "offline_after": 1200}, actor=None)
    assert Account.objects.get().timeouts_changed_at == before
    (change,) = change_settings(account, {"offline_after": 1300}, actor=None)
    assert Account.objects.get().timeouts_changed_at == change.at > before


NO_NUMBERS = ["-1", "2592001", "1000000000000", "9" * 5000, "1.5", "1,5", "1e3", "0x10", "", "ten", "\x00", "NaN"]


class TestAHandMadePost:
    def form(self, client, account):
        """What a browser sends for the page as it is."""
        form = client.get(reverse("admin:operators_account_change", args=[account.pk])).context["adminform"].form
        data = {name: form.initial.get(name) for name in form.fields}
        data = {name: value for name, value in data.items() if value not in (None, False)}
        return data | {"setting_changes-TOTAL_FORMS": "0", "setting_changes-INITIAL_FORMS": "0"}

    def post(self, client, account, data):
        return client.post(reverse("admin:operators_account_change", args=[account.pk]), data)

    @pytest.mark.parametrize("name", NUMBERS)
    def test_it_is_refused_at_its_field(self, client, account, name):
        client.force_login(people.make_operator(None, "help"))
        data = self.form(client, account)
        for value in set(NO_NUMBERS) - {"\x00"}:  # which no form may hold
            response = self.post(client, account, data | {name: value})
            assert response.status_code == 200, value
            assert name in response.context["adminform"].form.errors, value
            assert not SettingChange.objects.exists(), value

    @pytest.mark.parametrize("name", [name for name in NUMBERS if name not in SUPERVISORS_SETTINGS])
    def test_a_supervisor_changes_no_number_of_the_support_staffs(self, client, account, vera, name):
        client.force_login(vera)
        assert self.post(client, account, self.form(client, account) | {name: "7"}).status_code == 302
        assert getattr(Account.objects.get(), name) == TABLE[name][0]
        assert not SettingChange.objects.exists()

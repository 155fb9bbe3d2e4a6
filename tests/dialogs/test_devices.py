"""Push tokens: a dialog that started in an app is online while its visitor has one (P7)."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from dialogs.actions import deadlines
from dialogs.actions.conversation import close_by_visitor
from dialogs.actions.devices import MOST_DEVICES, device_used, remove_token, set_token
from dialogs.events import Queue, Started, TokenLossReason, TokenRemoved
from dialogs.models import LONGEST_DEVICE_KEY, LONGEST_PUSH_TOKEN, Device, EventKind, Visitor
from operators.models import Account
from tests import people
from tests.passing_time import fresh, let_pass
from webim_offline.foundation.database.clock import database_now

PHONE = "4b0f6a52-0c7e-4a4e-9a56-0d3f8a3f5f10"
TABLET = "9d6dd1a7-6a0a-4bd5-8a8e-63a1f0c6b2aa"
TOKEN = "fcm:APA91bF-the-phones"
PRESENCE = ("visitor_left", "visitor_came_back", "left_notice", "went_offline", "returned", "token_set", "token_removed")


@pytest.fixture
def visitor(account, process):
    """Marina, with the app open."""
    visitor = people.make_visitor(account, name="Marina")
    people.arrive(visitor, process)
    return visitor


@pytest.fixture
def dialog(visitor):
    """Her dialog from the app; no token yet."""
    return people.start_dialog(visitor.account, visitor=visitor, from_app=True)


def codes(dialog):
    return list(dialog.messages.filter(kind="system").values_list("code", flat=True))


def history(dialog):
    return list(dialog.events.filter(kind__in=PRESENCE).order_by("revision").values_list("kind", flat=True))


def later(seconds, *, sweep=True):
    """As if `seconds` had passed, and the sweep had run."""
    let_pass(seconds)
    while sweep and deadlines.advance_due_dialogs():
        pass


def is_online(dialog):
    """Online, with no label and no deadline (P3 to P5 do not apply)."""
    fresh(dialog)
    return not dialog.is_offline and dialog.away_since is None and dialog.wake_at is None


class TestATokenKeepsTheDialogOnline:
    def test_whoever_leaves(self, dialog, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN, platform="android")
        people.depart(visitor, process)
        later(9999)
        assert is_online(dialog)
        assert codes(dialog) == []
        assert history(dialog) == ["token_set"]

    def test_from_its_start(self, account, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        dialog = people.start_dialog(account, visitor=visitor, from_app=True)
        assert dialog.always_online
        assert dialog.events.get(kind=EventKind.STARTED).details == Started(queue=Queue.GENERAL, has_token=True)
        people.depart(visitor, process)
        later(9999)
        assert is_online(dialog)
        assert history(dialog) == []

    def test_without_any_visit(self, account):
        """P10, and its exception."""
        visitor = people.make_visitor(account)
        assert people.start_dialog(account, visitor=visitor, from_app=True).is_offline
        other = people.make_visitor(account)
        set_token(other.pk, device=PHONE, token=TOKEN)
        assert is_online(people.start_dialog(account, visitor=other, from_app=True))

    def test_only_one_that_started_in_an_app(self, account, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        dialog = people.start_dialog(account, visitor=visitor)
        people.depart(visitor, process)
        assert fresh(dialog).away_since is not None
        set_token(visitor.pk, device=PHONE, token="another")
        assert fresh(dialog).away_since is not None
        assert history(dialog) == ["visitor_left"]

    def test_an_email_only_dialog_too(self, account, visitor, process):
        Account.objects.update(left_messages_email="left@tea.example", left_messages_in_workspace=False)
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        dialog = people.start_dialog(account, visitor=visitor, from_app=True)
        assert dialog.email_only
        closes_at = dialog.closes_at
        people.depart(visitor, process)
        fresh(dialog)
        assert (dialog.is_offline, dialog.away_since, dialog.wake_at) == (False, None, closes_at)

    def test_coming_back_is_no_news(self, dialog, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        people.depart(visitor, process)
        people.arrive(visitor, process, "page-2")
        assert is_online(dialog)
        assert dialog.always_online
        assert history(dialog) == ["token_set"]


@pytest.mark.parametrize("is_swept", [True, False], ids=["", "clock worker away"])
@pytest.mark.parametrize(("passed", "said"), [(60, []), (130, ["left"]), (1300, ["left", "went_offline"])])
def test_a_token_that_arrives_undoes_an_absence_without_a_message(dialog, visitor, process, passed, said, is_swept):
    people.depart(visitor, process)
    later(passed, sweep=is_swept)
    set_token(visitor.pk, device=PHONE, token=TOKEN)
    assert is_online(dialog)
    assert codes(dialog) == said
    later(9999)
    people.arrive(visitor, process, "page-2")
    assert codes(dialog) == said, "nothing is said of an absence that a token undid"


class TestWithoutAToken:
    """An absence starts at the removal, and is one like any other."""

    @pytest.mark.parametrize(
        ("remove", "reason"),
        [
            (lambda visitor: set_token(visitor.pk, device=PHONE, token="none"), "removed"),
            (lambda visitor: set_token(visitor.pk, device=PHONE, token=""), "removed"),
            (lambda visitor: remove_token(visitor.account_id, TOKEN), "invalid"),
        ],
        ids=["none", "empty", "the push service says so"],
    )
    def test_an_absence_starts_at_the_removal(self, dialog, visitor, process, remove, reason):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        people.depart(visitor, process)
        later(9999)
        before = database_now()
        remove(visitor)
        after = database_now()
        assert before <= fresh(dialog).away_since <= after
        assert not dialog.is_offline, "never at once offline"
        assert dialog.wake_at == dialog.away_since + timedelta(seconds=120)
        removed = dialog.events.get(kind=EventKind.TOKEN_REMOVED)
        assert (removed.at, removed.details) == (dialog.away_since, TokenRemoved(reason=TokenLossReason(reason), is_away=True))
        later(1300)
        assert fresh(dialog).is_offline
        people.arrive(visitor, process, "page-2")
        assert codes(dialog) == ["left", "went_offline", "returned"]

    def test_nobody_is_absent_who_is_there(self, dialog, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        remove_token(visitor.account_id, TOKEN)
        assert is_online(dialog)
        assert dialog.events.get(kind=EventKind.TOKEN_REMOVED).details == TokenRemoved(
            reason=TokenLossReason.INVALID, is_away=False
        )
        people.depart(visitor, process)
        assert fresh(dialog).away_since == fresh(visitor).left_at

    def test_a_departure_heard_of_late_does_not_reach_back_behind_the_removal(self, dialog, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        remove_token(visitor.account_id, TOKEN)
        removed_at = dialog.events.get(kind=EventKind.TOKEN_REMOVED).at
        people.depart(visitor, process, ago=600)
        assert fresh(dialog).away_since == removed_at
        assert dialog.events.get(kind=EventKind.VISITOR_LEFT).at == removed_at
        assert codes(dialog) == []

    def test_each_absence_has_its_own_messages(self, dialog, visitor, process):
        for _ in range(2):
            set_token(visitor.pk, device=PHONE, token=TOKEN)
            people.depart(visitor, process)
            set_token(visitor.pk, device=PHONE, token="none")
            later(130)
        assert codes(dialog) == ["left", "left"]

    def test_a_dialog_without_any_visit_has_an_absence_then_too(self, account):
        visitor = people.make_visitor(account)
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        dialog = people.start_dialog(account, visitor=visitor, from_app=True)
        remove_token(account.pk, TOKEN)
        assert not fresh(dialog).is_offline
        assert dialog.away_since is not None

    def test_a_closed_dialog_is_left_alone(self, dialog, visitor):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        close_by_visitor(visitor.pk, dialog.number)
        revision = fresh(dialog).revision
        remove_token(visitor.account_id, TOKEN)
        assert fresh(dialog).revision == revision
        assert dialog.wake_at == dialog.closes_at == dialog.closed_at + timedelta(seconds=600)  # for good (Q9), nothing else


class TestWhoseTokenItIs:
    def test_any_device_of_the_visitor_will_do(self, dialog, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        set_token(visitor.pk, device=TABLET, token="the-tablets")
        people.depart(visitor, process)
        set_token(visitor.pk, device=PHONE, token="none")
        assert is_online(dialog)
        assert history(dialog) == ["token_set"]
        remove_token(visitor.account_id, "the-tablets")
        assert fresh(dialog).away_since is not None

    @pytest.mark.parametrize("told", ["nothing", "the same token", "another token", "none"])
    def test_who_uses_a_device_takes_its_token_along(self, account, dialog, visitor, process, told):
        set_token(visitor.pk, device=PHONE, token=TOKEN, platform="ios")
        people.depart(visitor, process)
        oleg = people.make_visitor(account, name="Oleg")
        his = people.start_dialog(account, visitor=oleg, from_app=True)
        if told == "nothing":
            device_used(oleg.pk, device=PHONE)
        else:
            set_token(oleg.pk, device=PHONE, token={"the same token": TOKEN, "another token": "other", "none": "none"}[told])
        assert fresh(dialog).away_since is not None
        assert dialog.events.get(kind=EventKind.TOKEN_REMOVED).details == TokenRemoved(reason=TokenLossReason.MOVED, is_away=True)
        assert is_online(his) is (told != "none")
        device = Device.objects.get()
        assert (device.visitor, device.platform) == (oleg, "ios")

    def test_a_token_is_on_one_device_only(self, account, dialog, visitor, process):
        """An app that was installed anew: another device, the same token."""
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        people.depart(visitor, process)
        set_token(visitor.pk, device=TABLET, token=TOKEN)
        assert is_online(dialog)
        assert dict(Device.objects.values_list("key", "token")) == {PHONE: "", TABLET: TOKEN}
        oleg = people.make_visitor(account)
        set_token(oleg.pk, device="olegs-phone-0001", token=TOKEN)
        assert fresh(dialog).away_since is not None
        assert fresh(oleg).has_token
        assert Device.objects.filter(token=TOKEN).count() == 1

    def test_a_push_services_old_word_does_not_remove_a_new_token(self, dialog, visitor):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        set_token(visitor.pk, device=PHONE, token="rotated")
        remove_token(visitor.account_id, TOKEN)
        assert fresh(visitor).has_token
        assert history(dialog) == ["token_set"]

    def test_accounts_are_separate(self, account, other_account, dialog, visitor):
        """X1: the same device and the same token in two accounts are two of each."""
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        stranger = people.make_visitor(other_account)
        remove_token(other_account.pk, TOKEN)
        device_used(stranger.pk, device=PHONE)
        assert not fresh(stranger).has_token
        set_token(stranger.pk, device=PHONE, token=TOKEN)
        assert {device.account_id for device in Device.objects.filter(token=TOKEN)} == {account.pk, other_account.pk}
        remove_token(other_account.pk, TOKEN)
        set_token(stranger.pk, device=PHONE, token="none")
        assert fresh(visitor).has_token
        assert history(dialog) == ["token_set"]

    def test_a_visitor_has_at_most_so_many_devices(self, dialog, visitor, process):
        for serial in range(MOST_DEVICES + 3):
            set_token(visitor.pk, device=f"device-{serial:04}", token=f"token-{serial:04}")
        kept = set(visitor.devices.values_list("key", flat=True))
        assert kept == {f"device-{serial:04}" for serial in range(3, MOST_DEVICES + 3)}
        people.depart(visitor, process)
        assert is_online(dialog)


def test_saying_the_same_again_writes_nothing(dialog, visitor, django_assert_num_queries):
    set_token(visitor.pk, device=PHONE, token=TOKEN, platform="android")
    before = Device.objects.values().get(), fresh(dialog).revision
    with django_assert_num_queries(2):
        set_token(visitor.pk, device=PHONE, token=TOKEN, platform="android")
    with django_assert_num_queries(2):
        device_used(visitor.pk, device=PHONE)
    assert (Device.objects.values().get(), fresh(dialog).revision) == before


@pytest.mark.parametrize("token", ["none", ""])
def test_a_device_that_never_had_a_token_is_not_worth_a_row(visitor, token):
    set_token(visitor.pk, device=PHONE, token=token)
    device_used(visitor.pk, device=PHONE)
    assert not Device.objects.exists()


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("wrong", "at"),
        [
            ({"device": ""}, "device"),
            ({"device": "   "}, "device"),
            ({"device": "d" * (LONGEST_DEVICE_KEY + 1)}, "device"),
            ({"device": "phone\x00"}, "device"),
            ({"device": "phone\n"}, "device"),
            ({"device": "\ud800"}, "device"),
            ({"token": "t" * (LONGEST_PUSH_TOKEN + 1)}, "token"),
            ({"token": "t" * 10_000_000}, "token"),
            ({"token": "fcm\x00"}, "token"),
            ({"token": "fcm token"}, "token"),
            ({"token": "жетон"}, "token"),
            ({"token": " none"}, "token"),
            ({"platform": "windows"}, "platform"),
            ({"platform": "x" * 1_000_000}, "platform"),
        ],
    )
    def test_it_says_where_and_writes_nothing(self, dialog, visitor, wrong, at):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        before = list(Device.objects.values())
        with pytest.raises(ValidationError) as refusal:
            set_token(visitor.pk, **({"device": TABLET, "token": "new"} | wrong))
        assert list(refusal.value.message_dict) == [at]
        assert len(str(refusal.value)) < 200
        assert list(Device.objects.values()) == before
        assert history(dialog) == ["token_set"]

    def test_everything_that_is_wrong_is_said_at_once(self, visitor):
        with pytest.raises(ValidationError) as refusal:
            set_token(visitor.pk, device="", token="\x00", platform="?")
        assert set(refusal.value.message_dict) == {"device", "token", "platform"}

    def test_the_longest_that_is_allowed(self, visitor):
        longest = "".join(chr(33 + place * 7 % 94) for place in range(LONGEST_PUSH_TOKEN))
        set_token(visitor.pk, device="я" * LONGEST_DEVICE_KEY, token=longest)
        assert Device.objects.get().token == longest

    def test_a_visitor_who_does_not_exist(self, db):
        with pytest.raises(Visitor.DoesNotExist):
            set_token(999_999, device=PHONE, token=TOKEN)
        assert not Device.objects.exists()

    @pytest.mark.parametrize("token", ["", "none", "unknown", "\x00", "t" * 10_000])
    def test_a_push_services_word_about_nothing(self, dialog, visitor, token):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        set_token(visitor.pk, device=TABLET, token="other")
        set_token(visitor.pk, device=TABLET, token="none")
        remove_token(visitor.account_id, token)
        assert fresh(visitor).has_token
        assert history(dialog) == ["token_set"]


def test_a_return_by_a_message_reaches_a_dialog_that_only_goes_by_mail(account, anna, visitor, process):
    """P6 for every open dialog, also when the message of the return begins a new one (M10)."""
    Account.objects.update(left_messages_email="left@tea.example", left_messages_in_workspace=False)
    by_mail = people.start_dialog(account, visitor=visitor)
    people.depart(visitor, process)
    assert fresh(by_mail).away_since is not None
    people.go_online(anna)
    written = people.write(visitor, visit_key="page-2")
    assert written.is_new
    assert fresh(by_mail).away_since is None
    assert by_mail.wake_at == by_mail.closes_at
    assert by_mail.revision == by_mail.events.order_by("-revision")[0].revision


class TestTheWorkspace:
    @pytest.fixture
    def page(self, client, anna, account):
        client.force_login(anna)
        return lambda dialog: client.get(f"/workspace/{dialog.number}/").content.decode()

    def test_the_header_says_that_the_visitor_can_be_reached(self, page, dialog, visitor, process):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        assert '<span id="presence-text">Visitor on the site</span>' in page(dialog)
        people.depart(visitor, process)
        body = page(dialog)
        assert '<span id="presence-text">Visitor reachable in the app</span>' in body
        assert "Visitor left the site" not in body
        assert "sees the answer at once" not in body
        card = body[body.index(f'id="card-{dialog.number}"') :].partition("</li>")[0]
        assert "reachable in the app" in card
        assert "presence--away" not in card
        set_token(visitor.pk, device=PHONE, token="none")
        assert '<span id="presence-text">Visitor left the site</span>' in page(dialog)

    def test_it_moves_between_the_queues_with_the_token(self, client, anna, account):
        client.force_login(anna)
        visitor = people.make_visitor(account)
        dialog = people.start_dialog(account, visitor=visitor, from_app=True)

        def place():
            shown = {panel.key: [card.number for card in panel.cards] for panel in client.get("/workspace/").context["panels"]}
            return [key for key, numbers in shown.items() if dialog.number in numbers]

        assert place() == ["offline"]
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        assert place() == ["general"]
        remove_token(account.pk, TOKEN)
        assert place() == ["general"], "absent, not offline"
        later(1300)
        assert place() == ["offline"]

    def test_a_page_that_shows_the_dialog_hears_of_the_app_closing(self, dialog, visitor, process, monkeypatch):
        set_token(visitor.pk, device=PHONE, token=TOKEN)
        told = set()
        monkeypatch.setattr("dialogs.actions.record.publish", lambda *channels: told.update(channels))
        people.depart(visitor, process)
        assert told == {f"workspace:{visitor.account_id}", f"dialog:{dialog.pk}"}
        told.clear()
        people.arrive(visitor, process, "page-2")
        assert told == {f"workspace:{visitor.account_id}", f"dialog:{dialog.pk}"}

"""Every action takes its locks in the order that `webim_offline.foundation.database.locks` promises: nobody deadlocks.

A story exercises every public action with several rows of each kind, and a recorder looks at what each statement locks.
"""

import importlib
import inspect
import pkgutil
import sys
import traceback
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

import dialogs.actions
import notifications.outgoing
import operators.actions
from dialogs import tasks
from dialogs.actions import (
    assignment_by_hand,
    automatic_assignment,
    conversation,
    devices,
    duties,
    presence,
    pulse,
    runner_leases,
    statuses,
    visitors,
)
from dialogs.actions.errors import NeedsConfirmation
from dialogs.locks import lock_dialog
from dialogs.models import OPEN_STATES, Dialog, Duty, LiveProcess, Pulse, Purpose, State, Visit, Visitor
from notifications import tasks as mail_tasks
from notifications.models import OutgoingEmail
from notifications.outgoing import delivery
from operators import tasks as signs_of_life_tasks
from operators.actions import accounts, parts, signs_of_life, status
from operators.actions import people as staff
from operators.actions import settings as account_settings
from operators.locks import lock_account
from operators.models import Account, Assignment, Department, Language, Operator, WorkspacesHeard
from tests import people
from tests.lock_recorder import ORDER, arranged, recorded
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.due_work import due_work_of
from webim_offline.foundation.database.locks import lock_rows
from webim_offline.foundation.database.prepared import Prepared

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer, and locks nothing"),
]
HOUR = timedelta(hours=1)
NO_DATABASE = {"notifications.outgoing.mime", "notifications.outgoing.smtp"}
PACKAGES = (operators.actions, dialogs.actions, notifications.outgoing)


def modules():
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)
    yield from (tasks, mail_tasks)


def public_actions():
    """Every public function of the actions and of the clock's tasks, by the code that a call runs."""
    found = {}
    for module in modules():
        if module.__name__ in NO_DATABASE:
            continue
        for name, value in vars(module).items():
            if isinstance(value, Prepared):
                continue  # a query that locks nothing
            function = inspect.unwrap(getattr(value, "run", value))
            if not name.startswith("_") and inspect.isfunction(function) and function.__module__ == module.__name__:
                found[function.__code__] = f"{module.__name__}.{name}"
    return found


class Story:
    """An account that assigns by hand and one that does it by itself, with people, visitors, dialogs and letters."""

    def __init__(self) -> None:
        self.account = people.make_account("north-tea", left_messages_email="left@north.example, more@north.example")
        self.other = people.make_account("south-coffee", name="South Coffee", assignment=Assignment.AUTOMATIC)
        self.vera = people.make_operator(self.account, "vera", role="supervisor")
        self.anna, self.boris = (people.make_operator(self.account, name) for name in ("anna", "boris"))
        self.carla, self.dora = (people.make_operator(self.other, name, online=True) for name in ("carla", "dora"))
        self.process = people.make_process()

    def chapters(self):
        yield from (self.visits_and_messages, self.work_by_hand, self.work_by_itself, self.devices, self.letters)
        yield from (self.time_passes, self.settings_change, self.outages, self.staff_changes)

    def pages(self, visitors, key="page-1"):
        return [presence.Arrival(one.pk, one.account_id, key, "https://shop.example/", "Shop") for one in reversed(visitors)]

    def gone(self, visitors, ago=0.0, key="page-1", **told):
        return [presence.Departure(one.pk, key, ago, **told) for one in reversed(visitors)]

    def visits_and_messages(self) -> None:
        self.visitors = people.make_visitors(self.account, 4) + people.make_visitors(self.other, 4)
        presence.visits_began(self.pages(self.visitors), process_id=self.process.pk)
        token, _ = visitors.newcomer(self.account)
        newcomer = visitors.recognise(self.account, token)
        presence.known_visitors([newcomer.pk])
        people.write(newcomer, visit_key="page-1")
        for round_ in range(2):  # start, then join
            for visitor in self.visitors[:4]:
                people.write(visitor, f"question {round_}", visit_key="page-1")
        named = conversation.Contacts(name="Marina", email="marina@mail.example", own={"Order": "12"})
        people.write(self.visitors[0], "It is me", visit_key="page-2", contacts=named)
        conversation.leave_contacts(self.visitors[1].pk, conversation.Contacts(name="Olga", phone="+7 912 345-67-89"))
        presence.visits_ended(self.gone(self.visitors, said_goodbye=True), process_id=self.process.pk)
        presence.visits_began(self.pages(self.visitors), process_id=self.process.pk)
        presence.visits_silent(self.gone(self.visitors, ago=-20, lease=45), process_id=self.process.pk)
        presence.unclaimed_visits()
        presence.visits_began(self.pages(self.visitors), process_id=None)

    def dialogs(self, account, **wanted):
        return list(Dialog.objects.filter(account=account, **wanted).order_by("pk"))

    def work_by_hand(self) -> None:
        for person in (self.vera, self.anna, self.boris):
            statuses.choose_status(person, person, "online")
        account_settings.change_limits(self.anna, {"max_online_dialogs": 1, "max_offline_dialogs": 1}, actor=self.vera)
        self.anna.refresh_from_db()
        first, second, third, fourth, *_ = self.dialogs(self.account)
        assignment_by_hand.take(first.pk, self.anna)
        with pytest.raises(NeedsConfirmation):
            assignment_by_hand.take(second.pk, self.anna)
        conversation.answer(first.pk, self.anna, "Good day", key="a1")
        conversation.answer(second.pk, self.anna, "Good day", key="a2", confirmed=True)
        assignment_by_hand.transfer_to_operator(first.pk, self.anna, self.boris.pk, confirmed=True)
        assignment_by_hand.return_to_queue(first.pk, self.boris)
        sales = Department.objects.get(account=self.account, slug="sales")
        assignment_by_hand.transfer_to_department(second.pk, self.anna, sales.pk)
        assignment_by_hand.take(second.pk, self.vera, confirmed=True)
        conversation.close_by_operator(second.pk, self.vera)
        people.write(self.visitors[1], "Once more")  # opens it again
        conversation.close_by_visitor(third.visitor_id, third.number)
        arranged(Dialog.objects.filter(pk=fourth.pk), in_workspace=False, email_only=True)
        conversation.bring_into_workspace(fourth.pk, actor=self.vera)

    def work_by_itself(self) -> None:
        for visitor in self.visitors[4:]:
            people.write(visitor, visit_key="page-1")
        assert all(dialog.operator_id for dialog in self.dialogs(self.other)), "assign_soon gave them"
        arranged(Dialog.objects.filter(account=self.other), operator=None, assigned_at=None, pickup_by=None, pickup_from=None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dialogs.actions.free_operators.FEW", 0)  # operators are locked after they were chosen
            assert automatic_assignment.assign_waiting() == 4
        now = database_now()
        arranged(Dialog.objects.filter(account=self.other), assigned_at=now - HOUR, pickup_from=now - HOUR, pickup_by=now)
        tasks.assign_dialogs()
        automatic_assignment.assign(self.other.pk)

    def devices(self) -> None:
        one, two = self.visitors[4:6]
        devices.set_token(one.pk, device="phone-1", token="token-1", platform="ios")
        devices.set_token(two.pk, device="phone-2", token="token-2")
        devices.set_token(two.pk, device="phone-1", token="token-2")  # both devices change hands
        devices.device_used(one.pk, device="phone-1")
        for number in range(devices.MOST_DEVICES + 2):
            devices.set_token(one.pk, device=f"tablet-{number}", token=f"tablet-{number}")
        arranged(Dialog.objects.filter(account=self.other), from_app=True)
        devices.remove_token(self.other.pk, "tablet-3")

    def letters(self) -> None:
        arranged(Dialog.objects.filter(account=self.account), start_state="offline")
        now = database_now()
        Duty.objects.bulk_create(
            [
                Duty(dialog=dialog, purpose=Purpose.LEFT_MESSAGE_LETTERS, due_at=now, since=now, first_revision=1, last_revision=99)
                for dialog in self.dialogs(self.account)
            ],
            ignore_conflicts=True,
        )
        duties.follow_setting(Purpose.LEFT_MESSAGE_LETTERS, self.account.pk, after=timedelta(0), changed_at=now - HOUR)
        arranged(Duty.objects, due_at=now - HOUR)
        for dialog in self.dialogs(self.account):
            arranged(dialog.events, at=now - HOUR)
        mail_tasks.write_letters()
        assert OutgoingEmail.objects.count() >= 4
        delivery.keep_letters()
        delivery.try_again([*OutgoingEmail.objects.values_list("pk", flat=True)])
        claim = delivery.claim_letters()
        accepted = delivery.Reply(delivery.Verdict.ACCEPTED, "250 OK")
        for letter in claim.letters[:2]:
            delivery.record_accepted(letter, claim, accepted)
        delivery.write_ledger(claim)
        arranged(Dialog.objects.filter(account=self.account), email_only=True, in_workspace=False, closes_at=now + 24 * HOUR)
        for letter in claim.letters[2:4]:
            delivery.record_outcome(letter, claim, delivery.Reply(delivery.Verdict.REFUSED, "550 no"))
        delivery.record_outcome(claim.letters[4], claim, delivery.Reply(delivery.Verdict.PUT_OFF, "451 later"))
        delivery.give_back(claim.letters[5:], claim)
        claim = delivery.claim_letters()
        delivery.record_accepted(claim.letters[0], claim, accepted)
        arranged(OutgoingEmail.objects.exclude(next_try_at=None), next_try_at=now - HOUR)
        mail_tasks.send_letters()  # what a run that died had claimed
        delivery.keep_letters()

    def time_passes(self) -> None:
        arranged(Dialog.objects, away_since=None, left_notice_at=None, went_offline_at=None, always_online=False)
        presence.visits_began(self.pages(self.visitors), process_id=self.process.pk)
        presence.visits_ended(self.gone(self.visitors, said_goodbye=True), process_id=self.process.pk)
        now = database_now()
        arranged(Dialog.objects.filter(away_since__isnull=False), away_since=now - HOUR, wake_at=now - HOUR)
        tasks.advance_dialogs()
        arranged(Dialog.objects.filter(state__in=[State.QUEUE, State.CHATTING]), closes_at=now - HOUR, wake_at=now - HOUR)
        people.write(self.visitors[0], "Am I too late?")  # what time did and the sweep has not noticed
        tasks.advance_dialogs()
        for visitor in self.visitors:
            people.write(visitor, "And again")
        pulse.beat(Pulse.MAIL)
        self.runners_take_turns()
        arranged(Visitor.objects, created_at=now - 1000 * HOUR, is_present=False, left_at=now - 1000 * HOUR)
        people.make_visitors(self.account, 3)
        arranged(Visitor.objects, created_at=now - 1000 * HOUR)
        tasks.forget_visitors()

    def runners_take_turns(self) -> None:
        its_tasks = [tasks.advance_dialogs, tasks.end_lost_visits, signs_of_life_tasks.record_expiries, tasks.assign_dialogs]
        its_tasks += [tasks.apply_setting_changes, mail_tasks.write_letters, mail_tasks.send_letters]
        work = [due_work for task in its_tasks if (due_work := due_work_of(task))]
        assert len(work) == len(its_tasks)
        one, two = runner_leases.RunnerLease("clock", work), runner_leases.RunnerLease("clock")
        assert one.take()
        assert one.renew()
        assert not two.take()
        one.release()
        assert runner_leases.lost(["clock"]) == {"clock"}

    def settings_change(self) -> None:
        presence.visits_began(self.pages(self.visitors), process_id=None)
        now = database_now()
        arranged(
            Dialog.objects.filter(account=self.other, state__in=OPEN_STATES),
            state=State.QUEUE,
            operator=self.carla,
            assigned_at=now,
            pickup_from=now,
            pickup_by=now + HOUR,
        )
        arranged(Dialog.objects.filter(account=self.account, state=State.QUEUE), away_since=now, left_notice_at=None)
        for account in (self.account, self.other):
            changes = {"left_notice_after": 1, "offline_after": 2, "visit_lease": 60, "pickup_timeout": 61, "operator_lease": 50}
            account_settings.change_settings(account, changes | {"close_after": 62, "reopen_window": 63}, actor=None)
        for account in (self.account, self.other):
            account_settings.change_settings(account, {"visit_lease": 50}, actor=None)
        account_settings.change_settings(self.account, {"left_messages_email": "left@north.example"}, actor=None)
        presence.visits_silent(self.gone(self.visitors, ago=-20, lease=45), process_id=self.process.pk)
        for account in (self.account, self.other):
            account_settings.change_settings(account, {"visit_lease": 40}, actor=None)
        tasks.apply_setting_changes()

    def outages(self) -> None:
        for account in (self.account, self.other):
            account_settings.change_settings(account, {"visit_lease": 45}, actor=None)
        presence.visits_began(self.pages(self.visitors[:4]), process_id=self.process.pk)
        presence.visits_began(self.pages(self.visitors[4:]), process_id=None)
        self.renew(self.process.pk)
        now = database_now()
        arranged(Pulse.objects.filter(name=Pulse.LEASES), at=now - HOUR)
        self.make_everything_last(now)
        presence.end_outage()
        arranged(Pulse.objects.filter(name=Pulse.LEASES), at=now + HOUR)  # the clock was set back
        arranged(Operator.objects, acted_at=now + HOUR)
        waiting = self.dialogs(self.other, state=State.QUEUE)
        assert len(waiting) >= 3
        passed_over = {str(self.carla.pk): (now + HOUR).isoformat()}
        arranged(Dialog.objects.filter(pk__in=[waiting[1].pk, waiting[2].pk]), passed_over=passed_over)
        self.make_everything_last(now)
        presence.end_outage()
        lost = [people.make_process(), people.make_process()]
        for place, process in enumerate(lost):
            presence.visits_began(self.pages(self.visitors[place::2]), process_id=process.pk)
        arranged(LiveProcess.objects, expires_at=now - HOUR)
        tasks.end_lost_visits()
        arranged(Visit.objects.filter(ended_at=None), expires_at=now - HOUR, process=None)
        tasks.end_lost_visits()
        self.silence_of_workspaces()

    def renew(self, process_id) -> None:
        known, _ = presence.renew_process(process_id)
        presence.renew_process(process_id, known)
        presence.renew_process(process_id, known - HOUR)

    def make_everything_last(self, now) -> None:
        arranged(LiveProcess.objects, expires_at=now + 2 * HOUR)
        arranged(Visit.objects.filter(ended_at=None, process=None), expires_at=now + 2 * HOUR)
        arranged(Dialog.objects.filter(state=State.QUEUE, operator__isnull=False), pickup_by=now + 2 * HOUR)

    def silence_of_workspaces(self) -> None:
        team = list(Operator.objects.filter(account__isnull=False).order_by("-pk"))
        signs_of_life.workspaces_seen({one.pk: one.tickets_valid_from for one in team})
        signs_of_life.workspaces_seen({one.pk: one.tickets_valid_from for one in team})
        arranged(WorkspacesHeard.objects, at=database_now() - HOUR)
        arranged(Operator.objects.filter(account=self.other), last_seen_at=database_now() - HOUR)
        signs_of_life.workspaces_seen({one.pk: one.tickets_valid_from for one in team})
        arranged(Operator.objects, last_seen_at=database_now() - HOUR, counted_online=True, status="online")
        signs_of_life.record_expiries()
        signs_of_life.seen(Operator.objects.select_related("account").get(pk=self.anna.pk), database_now())

    def staff_changes(self) -> None:
        account = accounts.create_account(Account(slug="new", name="New"), language_codes=["en", "ru"], actor=None)
        sales, support = Department(account=account, slug="sales", name="Sales"), Department(account=account, slug="s", name="S")
        for part in (sales, support):
            parts.save_part(part, actor=None)
        sales.name = "Trade"
        parts.save_part(sales, actor=None)
        parts.archive_part(sales, actor=None)
        parts.restore_part(sales, actor=None)
        parts.delete_part(support, actor=None)
        names = {"password": "a long and quiet evening", "languages": list(Language.objects.filter(account=account))}
        one, two = (
            staff.create_operator(Operator(username=name, name=name, account=account), departments=[sales], **names)
            for name in ("one", "two")
        )
        staff.change_people(one, departments=[], languages=[], active=False)
        one.role = "supervisor"
        staff.describe_operator(one, ["role"])
        staff.set_password(one, "another long evening")
        staff.end_workspaces(one)
        staff.choose_page_language(one, "ru")
        staff.choose_rings(one, {"rings_for_queues": True})
        status.sign_out(two)
        helper = people.make_operator(None, "helper")
        staff.set_support_active(helper, active=False)
        accounts.archive_account(account, actor=None)
        accounts.restore_account(account, actor=None)
        nobody = Operator(username="nobody", name="nobody", account=account)
        staff.delete_operator(staff.create_operator(nobody, password="an evening without anybody"))
        with pytest.raises(ValidationError):
            staff.delete_operator(self.anna)
        pulse.forget_beats()


@pytest.fixture(scope="module")
def told(django_db_setup, django_db_blocker):
    """The story once: what the recorder found, and the code that ran."""
    ran, broken_off = set(), []
    with django_db_blocker.unblock():
        story = Story()
        with recorded() as recorder:
            sys.setprofile(lambda frame, event, _: ran.add(frame.f_code) if event == "call" else None)
            try:
                for chapter in story.chapters():
                    try:
                        chapter()
                    except Exception:  # noqa: BLE001 - what the other chapters find is worth knowing, too
                        broken_off.append(f"{chapter.__name__}: {traceback.format_exc()}")
            finally:
                sys.setprofile(None)
    return recorder, ran, broken_off


def test_the_story_comes_to_its_end(told):
    *_, broken_off = told
    assert not broken_off, "\n".join(broken_off)


def test_no_action_locks_in_an_order_that_could_end_in_a_deadlock(told):
    recorder, _, _ = told
    assert not recorder.faults, "\n".join(recorder.faults.values())


def test_every_public_action_was_exercised(told):
    _, ran, _ = told
    left_out = sorted(name for code, name in public_actions().items() if code not in ran)
    assert not left_out, "add them to the story"


def test_the_order_names_tables_that_exist():
    tables = set(connection.introspection.table_names())
    assert {name for name in ORDER if "advisory" not in name} <= tables


class TestTheRecorder:
    """It finds what it is there for."""

    def faults(self, *steps) -> str:
        with recorded() as recorder, transaction.atomic():
            for step in steps:
                step()
        return "\n".join(recorder.faults)

    def test_a_lock_out_of_order(self, account):
        dialog = people.start_dialog(account)
        found = self.faults(lambda: lock_dialog(dialog.pk), lambda: lock_account(account.pk))
        assert "operators_account is waited for while dialogs_dialog is held" in found
        assert not self.faults(lambda: lock_account(account.pk), lambda: lock_dialog(dialog.pk))

    def test_rows_in_no_order(self, account):
        first, second = people.start_dialog(account), people.start_dialog(account)
        assert "are locked in no order" in self.faults(lambda: Dialog.objects.update(last_text=""))
        found = self.faults(lambda: lock_dialog(second.pk), lambda: lock_dialog(first.pk))
        assert "is waited for while" in found
        assert not self.faults(lambda: lock_rows(Dialog.objects.all()), lambda: Dialog.objects.update(last_text=""))

    def test_a_guarded_row_without_its_guard(self, account):
        dialog = people.start_dialog(account)
        assert "without the lock of DIALOGS" in self.faults(lambda: dialog.messages.update(text="changed"))

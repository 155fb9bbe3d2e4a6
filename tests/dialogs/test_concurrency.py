"""Many connections at once on PostgreSQL: one owner, one dialog, one message, one notice (S2, Q6, Q9, B1, P8)."""

import io
import random
import threading
from collections import Counter
from datetime import timedelta
from functools import partial
from time import monotonic, sleep

import pytest
from django.core.management import call_command
from django.db import connection

from dialogs.actions import deadlines
from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import answer
from dialogs.actions.errors import AlreadyTaken
from dialogs.models import Dialog, Message, State
from operators.actions.settings import change_settings
from operators.actions.signs_of_life import record_expiries, workspaces_seen
from operators.actions.status import set_status
from operators.models import Operator, OperatorChange
from tests import people

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]


def at_once(*jobs):
    """Run the jobs in threads that start together, each on a connection of its own; their results or exceptions."""
    barrier, results = threading.Barrier(len(jobs)), [None] * len(jobs)

    def run(place, job):
        try:
            barrier.wait()
            results[place] = job()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_of_eight_operators_one_gets_the_dialog(account):
    operators = [people.make_operator(account) for _ in range(8)]
    for _ in range(5):
        dialog = people.start_dialog(account)
        results = at_once(*(partial(take, dialog.pk, o) for o in operators))
        kinds = Counter(type(result) for result in results)
        assert kinds == {Dialog: 1, AlreadyTaken: 7}
        dialog.refresh_from_db()
        assert {str(result) for result in results if isinstance(result, AlreadyTaken)} == {f"{dialog.operator} has this dialog."}
        assert dialog.events.filter(kind="picked_up").count() == 1


def test_first_messages_from_eight_tabs_make_one_dialog(account):
    visitor = people.make_visitor(account)
    results = at_once(*(lambda: people.write(visitor) for _ in range(8)))
    assert len({written.dialog.pk for written in results}) == 1
    assert [written.is_new for written in results].count(True) == 1
    revisions = list(Message.objects.values_list("revision", flat=True))
    assert len(set(revisions)) == 8


def test_one_key_sent_eight_times_at_once_is_one_message(account):
    visitor = people.make_visitor(account)
    results = at_once(*(lambda: people.write(visitor, key="the-same") for _ in range(8)))
    assert {written.dialog.pk for written in results} == {Dialog.objects.get().pk}
    assert Message.objects.count() == 1
    assert [written.repeated for written in results].count(False) == 1


def test_one_answer_sent_eight_times_at_once_is_one_answer(account):
    anna, dialog = people.make_operator(account), people.start_dialog(account)
    results = at_once(*(partial(answer, dialog.pk, anna, "It is on its way", key="the-same") for _ in range(8)))
    assert {result.pk for result in results} == {dialog.pk}
    assert Message.objects.filter(author=anna).count() == 1


def test_one_key_sent_to_eight_dialogs_at_once_is_an_answer_in_each(account):
    anna, dialogs = people.make_operator(account), [people.start_dialog(account) for _ in range(8)]
    at_once(*(partial(answer, dialog.pk, anna, "It is on its way", key="the-same") for dialog in dialogs))
    assert (
        Message.objects.filter(author=anna).values("dialog").distinct().count() == Message.objects.filter(author=anna).count() == 8
    )


def test_numbers_are_unique_and_without_gaps_under_load(account):
    visitors = [people.make_visitor(account) for _ in range(24)]
    at_once(*(lambda v=v: people.write(v) for v in visitors))
    assert sorted(Dialog.objects.values_list("number", flat=True)) == list(range(1, 25))


def test_start_states_agree_with_the_history_of_statuses(account):
    anna = people.make_operator(account)
    visitors = [people.make_visitor(account) for _ in range(60)]

    def flips():
        for _ in range(20):
            set_status(Operator.objects.get(pk=anna.pk), "online")
            set_status(Operator.objects.get(pk=anna.pk), "lunch")

    def starts(some):
        for visitor in some:
            people.write(visitor)

    results = at_once(flips, *(lambda i=i: starts(visitors[i::3]) for i in range(3)))
    assert results == [None] * 4
    call_command("check_start_states", stdout=io.StringIO())
    counts = Counter(Dialog.objects.values_list("start_state", flat=True))
    assert counts["online"] + counts["offline"] == 60


def test_start_states_agree_with_the_history_of_leases(account):
    """Expiries, signs in the last moment and after it, outages (P9), changed leases, while dialogs start all the time."""
    lease = 1
    change_settings(account, {"operator_lease": lease}, actor=None)
    anna = people.make_operator(account, departments=())
    anna.refresh_from_db()
    set_status(Operator.objects.get(pk=anna.pk), "online")
    visitors = [people.make_visitor(account) for _ in range(240)]
    begun = monotonic()

    def signs():
        pauses = random.Random(7)
        while monotonic() - begun < 8:
            sleep(pauses.choice([0.1, 0.7, 0.9, 0.97, 1.0, 1.03, 1.2, 1.6, 3.3]) * lease)
            workspaces_seen({anna.pk: anna.tickets_valid_from})

    def sweeps():
        while monotonic() - begun < 8:
            record_expiries()
            sleep(0.05)

    def leases():
        while monotonic() - begun < 8:
            sleep(1.3)
            change_settings(account, {"operator_lease": 3}, actor=None)
            sleep(0.4)
            change_settings(account, {"operator_lease": lease}, actor=None)

    def starts(some):
        for visitor in some:
            people.write(visitor, department="")
            sleep(max(0.0, (monotonic() - begun < 8) * 8 / 120 - 0.01))

    assert at_once(signs, sweeps, leases, *(lambda i=i: starts(visitors[i::2]) for i in range(2))) == [None] * 5
    call_command("check_start_states", stdout=io.StringIO())
    counts = Counter(Dialog.objects.values_list("start_state", flat=True))
    assert min(counts["online"], counts["offline"]) > 10, counts
    assert {"chosen", "expired", "back"} <= set(OperatorChange.objects.values_list("reason", flat=True))


def test_three_sweepers_and_returns_say_everything_once(account):
    process = people.make_process()
    visitors = [people.make_visitor(account) for _ in range(60)]
    for visitor in visitors:
        people.arrive(visitor, process)
        people.write(visitor)
        people.depart(visitor, process)
    ago = timedelta(seconds=130)
    for dialog in Dialog.objects.all():
        dialog.away_since -= ago
        dialog.wake_at -= ago
        dialog.save(update_fields=["away_since", "wake_at"])
    account.timeouts_changed_at -= 2 * ago
    account.save(update_fields=["timeouts_changed_at"])

    def sweeps():
        while deadlines.advance_due_dialogs(limit=7):
            pass

    def returns():
        for visitor in visitors[::2]:
            people.arrive(visitor, process, "back")

    assert at_once(sweeps, sweeps, sweeps, returns) == [None] * 4
    sweeps()
    for visitor in visitors:
        dialog = Dialog.objects.get(visitor=visitor)
        codes = list(dialog.messages.filter(kind="system").values_list("code", flat=True))
        came_back = visitor in visitors[::2]
        assert codes in ([["left", "returned"], []] if came_back else [["left"]])
        assert (dialog.away_since is None) == came_back
        assert dialog.state == State.QUEUE

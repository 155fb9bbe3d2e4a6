"""Automatic assignment at its size (Q7), and the left panel over few and many open dialogs (Q5)."""

import statistics
import time
from collections.abc import Callable
from functools import lru_cache, partial

from django.db import connection
from django.test import Client

from dialogs.actions import automatic_assignment
from dialogs.models import Dialog, State
from operators.models import Account, Assignment, Department, Language, Operator, Status
from tests import people
from tests.benchmarks.filling import Places, fill
from webim_offline.foundation.database.clock import database_now

DEPARTMENTS, LANGUAGES = 20, ("en", "ru", "de")
OPERATORS = 500
WAITING = 10_000
LIMIT = 10  # online dialogs of one operator
PRESENT = "SELECT false AS noticed, NULL::timestamptz AS away"
ROUNDS = 5
ONE_ROUNDS = 100
PANEL_ROUNDS = 60


def make_company(*, limit: int) -> tuple[Account, Places]:
    """20 departments, 3 languages, 500 operators who are online: each of two departments, speaking two languages."""
    account = people.make_account(
        languages=LANGUAGES,
        departments=tuple(f"part-{number}" for number in range(DEPARTMENTS)),
        assignment=Assignment.AUTOMATIC,
        max_online_dialogs=limit,
    )
    departments = list(Department.objects.filter(account=account).order_by("pk"))
    languages = list(Language.objects.filter(account=account).order_by("pk"))
    staff = Operator.objects.bulk_create(
        Operator(
            username=f"{account.slug}-{number}",
            name=f"Operator {number}",
            account=account,
            password="!",
            status=Status.ONLINE,
            counted_online=True,
        )
        for number in range(OPERATORS)
    )
    of_departments, of_languages = Operator.departments.through, Operator.languages.through
    of_departments.objects.bulk_create(
        of_departments(operator=person, department=departments[place])
        for number, person in enumerate(staff)
        for place in {number % DEPARTMENTS, (number // DEPARTMENTS + number + 1) % DEPARTMENTS}
    )
    of_languages.objects.bulk_create(
        of_languages(operator=person, language=languages[place])
        for number, person in enumerate(staff)
        for place in {number % 3, (number // 3 + number + 1) % 3}
    )
    pairs = [(department.pk, language.pk) for department in departments for language in languages]
    return account, Places([account.pk] * len(pairs), [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def filled(limit: int, count: int) -> Account:
    """A company of its own with `count` dialogs waiting in its 60 queues, the oldest first; nothing else is stored."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE dialogs_visitor, dialogs_dialog CASCADE")
    account, places = make_company(limit=limit)
    fill(places, count, PRESENT)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE dialogs_dialog SET created_at = created_at + number % 100000 * interval '10 ms'")
        cursor.execute("VACUUM ANALYZE dialogs_dialog, dialogs_visitor, operators_operator")
    return account


def all_heard(account: Account) -> None:
    Operator.objects.filter(account=account).update(last_seen_at=database_now())


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# ----- assignment -----


def queue_again() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE dialogs_dialog SET operator_id = NULL, state = 'queue', assigned_at = NULL, pickup_by = NULL")
        cursor.execute("TRUNCATE dialogs_dialogevent")
        cursor.execute("VACUUM ANALYZE dialogs_dialog")


def measure_all() -> tuple[float, str, str, float]:
    account = filled(2 * WAITING // OPERATORS, WAITING)
    seconds = []
    for _ in range(ROUNDS):
        queue_again()
        all_heard(account)
        seconds.append(timed(partial(automatic_assignment.assign, account.pk)))
        assert not Dialog.objects.filter(operator=None).exists()
    note = f"{WAITING} dialogs in {DEPARTMENTS} x {len(LANGUAGES)} queues to {OPERATORS} operators; median of {ROUNDS} rounds"
    return statistics.median(seconds), "s", note, 3


def measure_one() -> tuple[float, str, str, float]:
    """500 operators at their limit, 10,000 dialogs waiting; one of them closes a dialog."""
    account = filled(LIMIT, OPERATORS * LIMIT + WAITING)
    while Dialog.objects.exclude(operator=None).count() < OPERATORS * LIMIT:
        all_heard(account)
        assert automatic_assignment.assign(account.pk), "everybody can reach their limit"
    Dialog.objects.exclude(operator=None).update(state=State.CHATTING, assigned_at=None, pickup_by=None)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE dialogs_dialog")
    seconds = []
    for operator in Operator.objects.filter(account=account).order_by("pk")[:ONE_ROUNDS]:
        closed = Dialog.objects.filter(operator=operator).order_by("pk")[:1]
        Dialog.objects.filter(pk__in=closed).update(state=State.CLOSED)
        all_heard(account)
        before = Dialog.objects.filter(operator=operator).count()
        seconds.append(timed(partial(automatic_assignment.assign, account.pk)))
        assert Dialog.objects.filter(operator=operator).count() == before + 1
    waiting = Dialog.objects.filter(operator=None).count()
    note = f"{OPERATORS} operators at {LIMIT} dialogs each, {waiting} wait, one is free; median of {ONE_ROUNDS}"
    return statistics.median(seconds) * 1000, "ms", note, 5


# ----- the left panel -----


def panel(count: int) -> float:
    """Milliseconds of the left panel with so many open dialogs, a third of them offline, for somebody who sees all of them."""
    account = filled(0, count)
    Dialog.objects.filter(pk__in=Dialog.objects.order_by("pk").values("pk")[: count // 3]).update(is_offline=True)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE dialogs_dialog")
    departments = tuple(f"part-{number}" for number in range(DEPARTMENTS))
    viewer = people.make_operator(account, departments=departments, languages=LANGUAGES, online=True)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(viewer)
    address = "/workspace/panel/"
    connection.close()  # the next one is made while a page is answered, as in a web process
    assert client.get(address).status_code == 200
    return statistics.median(timed(partial(client.get, address)) for _ in range(PANEL_ROUNDS)) * 1000


@lru_cache(maxsize=1)
def panel_of_100() -> float:
    return panel(100)


def measure_panel_100() -> tuple[float, str, str, None]:
    return panel_of_100(), "ms", f"100 open dialogs; median of {PANEL_ROUNDS}", None


def measure_panel_10k() -> tuple[float, str, str, None]:
    return panel(10_000), "ms", f"10000 open dialogs; median of {PANEL_ROUNDS}", None


def measure_panel_100k() -> tuple[float, str, str, float]:
    few = panel_of_100()
    note = f"100000 open dialogs, with 100 it takes {few:.1f} ms; median of {PANEL_ROUNDS}"
    return panel(100_000), "ms", note, 1.2 * few

"""The sections of the left panel as querysets (Q1 to Q5).

The rules themselves are pure functions, `dialogs.rules.sections` and `dialogs.rules.permissions.may_read`; a test compares
both row by row. `person` spares a caller who has read the facts about the operator already the two queries for them.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet

from dialogs.models import IS_HELD, WAITS_IN_QUEUE, Dialog, State
from dialogs.reading.rights import person_of
from dialogs.rules.permissions import Person
from dialogs.rules.sections import Section, held_section, queue_section
from operators.models import Account, Operator

MOST_FOR_SUPERVISOR = 500  # Q5
MOST_HELD = 200
COUNTED_AT_ONCE = 1000  # dialogs of one queue, exactly and at once
COUNTS_LAST = 1  # seconds, of longer ones
BY_KIND = {"online": Count("pk", filter=Q(is_offline=False)), "offline": Count("pk", filter=Q(is_offline=True))}  # by current state


def queue_of(dialog: Dialog) -> Section | None:
    """The queue in which a stored dialog waits to be taken (Q1); None when it waits in none."""
    return queue_section(
        is_open=dialog.is_open, in_workspace=dialog.in_workspace, holder_id=dialog.operator_id, is_offline=dialog.is_offline
    )


def queued(operator: Operator, *, is_offline: bool, person: Person | None = None) -> QuerySet[Dialog]:
    """General queue or Offline inquiries, oldest first. Index dialog_queue."""
    return queue(operator.account_id, *routes_of(person or person_of(operator)), is_offline=is_offline)


def routes_of(person: Person) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """`Person.answers` as `queue` wants it: departments and languages; None for all of them."""
    return (None, None) if person.is_supervisor else (person.departments, person.languages)


def queue(
    account_id: int | None, departments: frozenset[int] | None, languages: frozenset[int] | None, *, is_offline: bool
) -> QuerySet[Dialog]:
    """`queued` for a prepared query."""
    rows = Dialog.objects.filter(WAITS_IN_QUEUE, account=account_id, is_offline=is_offline)
    if departments is not None and languages is not None:
        rows = rows.filter(_of_routes(departments, languages))
    return rows.order_by("created_at", "pk")


def _of_routes(departments: Iterable[Any], languages: Iterable[Any]) -> Q:
    """Dialogs of these departments, or of none, in these languages: ids, or querysets of ids."""
    return (Q(department=None) | Q(department__in=departments)) & Q(language__in=languages)


Counts = list[tuple[int | None, int, bool, int]]  # department, language, whether offline, and how many dialogs


class WaitingCounts:
    """How many dialogs wait in the queues of somebody. Of a long one, the number of at most COUNTS_LAST seconds ago will do."""

    def __init__(self, operator: Operator, person: Person) -> None:
        self._operator, self._person = operator, person

    def of(self, *, is_offline: bool) -> int:
        """How many dialogs `queued` has."""
        if self._known and (many := self._theirs(self._known, is_offline=is_offline)) > COUNTED_AT_ONCE:
            return many
        rows = queued(self._operator, is_offline=is_offline, person=self._person).order_by()
        first = rows[: COUNTED_AT_ONCE + 1].count()
        if first <= COUNTED_AT_ONCE:
            return first
        if not self._known:
            self._known = count_waiting(self._operator.own_account)
        return max(self._theirs(self._known, is_offline=is_offline), first)

    @cached_property
    def _known(self) -> Counts | None:
        known: Counts | None = cache.get(_counts_key(self._operator.own_account))
        return known

    def _theirs(self, counts: Counts, *, is_offline: bool) -> int:
        answers = self._person.answers
        return sum(count for department, language, kind, count in counts if kind == is_offline and answers((department, language)))


def count_waiting(account: Account) -> Counts:
    """The lengths of an account's queues, counted once a second for everybody.

    Index dialog_queue_head: counting 100,000 dialogs for each panel would take longer than all the rest of it.
    """
    rows = Dialog.objects.filter(WAITS_IN_QUEUE, account=account).order_by()
    counts = list(rows.values_list("department_id", "language_id", "is_offline").annotate(count=Count("*")))
    cache.set(_counts_key(account), counts, COUNTS_LAST)
    return counts


def _counts_key(account: Account) -> str:
    return f"waiting:{account.pk}:{account.created_at.timestamp()}"


def held(operator: Operator) -> QuerySet[Dialog]:
    """Open dialogs the operator has: Waiting for a reply and In dialog with you. Index dialog_held."""
    return held_by(operator.account_id, operator.pk)


def held_by(account_id: int | None, operator_id: int) -> QuerySet[Dialog]:
    """`held` for a prepared query."""
    rows = Dialog.objects.filter(IS_HELD, account=account_id, operator=operator_id)
    return rows.order_by("created_at", "pk")


def counts_of_held(operator: Operator) -> dict[str, int]:
    """How many dialogs `held` has, by section."""
    counts = held(operator).order_by().values_list("state").annotate(Count("pk"))
    return {held_section(is_begun=state == State.CHATTING): count for state, count in counts}


def held_by_anyone(account_id: int | None) -> QuerySet[Dialog]:
    """Open dialogs that somebody of the account has, in no order. Index dialog_held."""
    rows = Dialog.objects.filter(IS_HELD, account=account_id)
    return rows.order_by()


def others(operator: Operator) -> QuerySet[Dialog]:
    """Other operators: everyone else's open dialogs, a section for supervisors only."""
    return held_by_others(operator.account_id, operator.pk)


def held_by_others(account_id: int | None, operator_id: int) -> QuerySet[Dialog]:
    """`others` for a prepared query."""
    return held_by_anyone(account_id).exclude(operator=operator_id).order_by("created_at", "pk")


def visible_to(operator: Operator) -> QuerySet[Dialog]:
    """The dialogs that the operator may open in the workspace, as `permissions.may_read` decides of each."""
    return visible(*reader(operator))


def reader(operator: Operator) -> tuple[int | None, int | None]:
    """The operator as `visible` wants them: the account's id, and their own; None for a supervisor, who may see all of it."""
    return operator.account_id, None if operator.is_supervisor else operator.pk


def visible(account_id: int | None, operator_id: int | None) -> QuerySet[Dialog]:
    """`visible_to` for a prepared query; departments and languages are looked up in the same query."""
    rows = Dialog.objects.filter(account=account_id, in_workspace=True)
    if operator_id is None:
        return rows
    departments = Operator.departments.through.objects.filter(operator=operator_id).values("department")
    languages = Operator.languages.through.objects.filter(operator=operator_id).values("language")
    return rows.filter(Q(operator=operator_id) | _of_routes(departments, languages))

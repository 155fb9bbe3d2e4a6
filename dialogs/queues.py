"""The sections of the left panel (Q1 to Q4): `section_of` is the rule, the querysets mirror it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet

from dialogs.models import OPEN_STATES, Dialog, State
from operators.models import Account, Operator

MOST_FOR_SUPERVISOR = 500  # Q5
MOST_HELD = 200
COUNTED_AT_ONCE = 1000  # dialogs of one queue, exactly and at once
COUNTS_LAST = 1  # seconds, of longer ones
BY_KIND = {"online": Count("pk", filter=Q(is_offline=False)), "offline": Count("pk", filter=Q(is_offline=True))}  # by current state


class Section(StrEnum):
    """In the order of the page."""

    WAITING = "waiting"
    MINE = "mine"
    GENERAL = "general"
    OFFLINE = "offline"
    OTHERS = "others"


def section_of(*, state: str, holder_id: int | None, is_offline: bool, in_workspace: bool, viewer_id: int) -> Section | None:
    """Where a dialog stands for the viewer; None = in no section (closed, or email-only).

    Whether the viewer sees that section's dialog at all is Q3's question (`visible_to`); OTHERS is supervisors' only.
    """
    if state not in OPEN_STATES or not in_workspace:
        return None
    if holder_id is None:
        return Section.OFFLINE if is_offline else Section.GENERAL
    if holder_id != viewer_id:
        return Section.OTHERS
    return Section.WAITING if state == State.QUEUE else Section.MINE


def queue_of(dialog: Dialog) -> Section | None:
    """The queue a dialog waits in to be taken (Q1); None for one that somebody has, a closed one, and an email-only one."""
    section = section_of(
        state=dialog.state,
        holder_id=dialog.operator_id,
        is_offline=dialog.is_offline,
        in_workspace=dialog.in_workspace,
        viewer_id=0,
    )
    return section if section in {Section.GENERAL, Section.OFFLINE} else None


@dataclass(frozen=True, slots=True)
class Parts:
    """Q3: the departments (None: without one) and languages somebody answers for; None instead of a set: all of the account."""

    departments: frozenset[int | None] | None = None
    languages: frozenset[int] | None = None

    @property
    def condition(self) -> Q:
        if self.departments is None or self.languages is None:
            return Q()
        return _in(sorted(pk for pk in self.departments if pk is not None), sorted(self.languages))

    def holds(self, department: int | None, language: int) -> bool:
        """The same of one dialog's department and language."""
        if self.departments is None or self.languages is None:
            return True
        return department in self.departments and language in self.languages


def own_parts(operator: Operator) -> Parts:
    """Q3: two queries; a supervisor has all."""
    if operator.is_supervisor:
        return Parts()
    departments = operator.departments.values_list("pk", flat=True)
    return Parts(frozenset([None, *departments]), frozenset(operator.languages.values_list("pk", flat=True)))


def _in(departments: Iterable[Any], languages: Iterable[Any]) -> Q:
    return (Q(department=None) | Q(department__in=departments)) & Q(language__in=languages)


def queued(operator: Operator, *, is_offline: bool, parts: Parts | None = None) -> QuerySet[Dialog]:
    """General queue or Offline inquiries, oldest first. Index dialog_queue."""
    rows = Dialog.objects.filter(
        account=operator.account_id, state=State.QUEUE, operator=None, in_workspace=True, is_offline=is_offline
    )
    return rows.filter((parts or own_parts(operator)).condition).order_by("created_at", "pk")


def waiting_count(operator: Operator, *, is_offline: bool, parts: Parts) -> int:
    """How many dialogs `queued` has; of more than COUNTED_AT_ONCE as of at most a second ago."""
    first = queued(operator, is_offline=is_offline, parts=parts).order_by()[: COUNTED_AT_ONCE + 1].count()
    if first <= COUNTED_AT_ONCE or operator.account is None:
        return first
    counts = _waiting_counts(operator.account)
    told = (
        count for (department, language, kind), count in counts.items() if kind == is_offline and parts.holds(department, language)
    )
    return max(sum(told), first)


def _waiting_counts(account: Account) -> dict[tuple[int | None, int, bool], int]:
    """The lengths of an account's queues by (department, language, is offline), counted once a second for everybody.

    Index dialog_queue_head: counting 100,000 dialogs for each panel would take longer than all the rest of it.
    """
    key = f"waiting:{account.pk}:{account.created_at.timestamp()}"
    known: list[tuple[int | None, int, bool, int]] | None = cache.get(key)
    if known is None:
        rows = Dialog.objects.filter(account=account, state=State.QUEUE, operator=None, in_workspace=True).order_by()
        known = list(rows.values_list("department_id", "language_id", "is_offline").annotate(count=Count("*")))
        cache.set(key, known, COUNTS_LAST)
    return {(department, language, kind): count for department, language, kind, count in known}


def held(operator: Operator) -> QuerySet[Dialog]:
    """Open dialogs the operator has: Waiting for a reply and In dialog with you. Index dialog_held."""
    rows = Dialog.objects.filter(account=operator.account_id, operator=operator, state__in=OPEN_STATES, in_workspace=True)
    return rows.order_by("created_at", "pk")


def held_by_anyone(account_id: int | None) -> QuerySet[Dialog]:
    """Open dialogs that somebody of the account has, in no order. Index dialog_held."""
    rows = Dialog.objects.filter(account=account_id, operator__isnull=False, state__in=OPEN_STATES, in_workspace=True)
    return rows.order_by()


def others(operator: Operator) -> QuerySet[Dialog]:
    """Everyone else's open dialogs, for supervisors."""
    return held_by_anyone(operator.account_id).exclude(operator=operator).order_by("created_at", "pk")


def visible_to(operator: Operator) -> QuerySet[Dialog]:
    """Dialogs the operator may open in the workspace: the own ones, and those of the own departments and languages."""
    rows = Dialog.objects.filter(account=operator.account_id, in_workspace=True)
    if operator.is_supervisor:
        return rows
    # looked up in the same query
    return rows.filter(Q(operator=operator) | _in(operator.departments.values("pk"), operator.languages.values("pk")))

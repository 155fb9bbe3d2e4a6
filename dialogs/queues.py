"""The sections of the left panel (Q1 to Q4): `section_of` is the rule, the querysets mirror it."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from django.db.models import Q, QuerySet

from dialogs.models import OPEN_STATES, Dialog, State
from operators.models import Operator

MOST_FOR_SUPERVISOR = 500  # Q5
MOST_HELD = 200


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


def in_own_parts(operator: Operator) -> Q:
    """Q3: dialogs of the operator's departments (and those without one) and languages. A supervisor sees all."""
    if operator.is_supervisor:
        return Q()
    return _in(list(operator.departments.values_list("pk", flat=True)), list(operator.languages.values_list("pk", flat=True)))


def _in(departments: Iterable[Any], languages: Iterable[Any]) -> Q:
    return (Q(department=None) | Q(department__in=departments)) & Q(language__in=languages)


def queued(operator: Operator, *, is_offline: bool, parts: Q | None = None) -> QuerySet[Dialog]:
    """General queue or Offline inquiries, oldest first. Index dialog_queue."""
    rows = Dialog.objects.filter(
        account=operator.account_id, state=State.QUEUE, operator=None, in_workspace=True, is_offline=is_offline
    )
    return rows.filter(in_own_parts(operator) if parts is None else parts).order_by("created_at", "pk")


def held(operator: Operator) -> QuerySet[Dialog]:
    """Open dialogs the operator has: Waiting for a reply and In dialog with you. Index dialog_held."""
    rows = Dialog.objects.filter(account=operator.account_id, operator=operator, state__in=OPEN_STATES, in_workspace=True)
    return rows.order_by("created_at", "pk")


def others(operator: Operator) -> QuerySet[Dialog]:
    """Everyone else's open dialogs, for supervisors. Index dialog_held."""
    rows = Dialog.objects.filter(
        account=operator.account_id, operator__isnull=False, state__in=OPEN_STATES, in_workspace=True
    ).exclude(operator=operator)
    return rows.order_by("created_at", "pk")


def visible_to(operator: Operator) -> QuerySet[Dialog]:
    """Dialogs the operator may open in the workspace: the own ones, and those of the own departments and languages."""
    rows = Dialog.objects.filter(account=operator.account_id, in_workspace=True)
    if operator.is_supervisor:
        return rows
    # looked up in the same query
    return rows.filter(Q(operator=operator) | _in(operator.departments.values("pk"), operator.languages.values("pk")))

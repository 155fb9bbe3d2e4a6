"""The left panel: its sections, what each shows and why some of it is hidden (Q1 to Q5)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dialogs import archive, queues
from dialogs.models import Dialog, StartState, State
from operators.models import Operator

TITLES = {
    queues.Section.WAITING: gettext_lazy("Waiting for a reply"),
    queues.Section.MINE: gettext_lazy("In dialog with you"),
    queues.Section.GENERAL: gettext_lazy("General queue"),
    queues.Section.OFFLINE: gettext_lazy("Offline inquiries"),
    queues.Section.OTHERS: gettext_lazy("Other operators"),
}

# the archive's filters that find all dialogs of a section, among some others
ARCHIVED_AS = {
    queues.Section.WAITING: {"state": State.QUEUE},
    queues.Section.MINE: {"state": State.CHATTING},
    queues.Section.GENERAL: {"state": State.QUEUE, "current_state": StartState.ONLINE},
    queues.Section.OFFLINE: {"state": State.QUEUE, "current_state": StartState.OFFLINE},
    queues.Section.OTHERS: {"state": archive.OPEN},
}


@dataclass(frozen=True)
class Panel:
    """One section as the page shows it: its cards, how many dialogs it holds, and why some are not shown."""

    key: str
    title: str
    dialogs: list[Dialog]
    count: int
    note: str = ""
    archived_as: str = ""  # the query of the archive that finds those, too, that are not shown


def panels(operator: Operator) -> list[Panel]:
    """The sections of the operator's left panel, a constant number of queries whatever they hold."""
    parts = queues.own_parts(operator)
    held = queues.held(operator)
    mine = list(_cards(held)[: queues.MOST_HELD])
    counts = dict(held.order_by().values_list("state").annotate(Count("pk")))
    found = [
        _held_panel(queues.Section.WAITING, mine, counts.get(State.QUEUE, 0), operator),
        _held_panel(queues.Section.MINE, mine, counts.get(State.CHATTING, 0), operator),
        _queue_panel(queues.Section.GENERAL, operator, parts),
        _queue_panel(queues.Section.OFFLINE, operator, parts),
    ]
    if operator.is_supervisor:
        rows = queues.others(operator)
        shown = list(_cards(rows)[: queues.MOST_FOR_SUPERVISOR])
        found.append(_panel(queues.Section.OTHERS, shown, rows.count(), queues.MOST_FOR_SUPERVISOR))
    return found


def _held_panel(section: queues.Section, mine: list[Dialog], count: int, operator: Operator) -> Panel:
    shown = [dialog for dialog in mine if _section(dialog, operator) == section]
    return _panel(section, shown, count if len(mine) == queues.MOST_HELD else len(shown), len(shown))


def _queue_panel(section: queues.Section, operator: Operator, parts: queues.Parts) -> Panel:
    is_offline = section == queues.Section.OFFLINE
    limit = operator.limit("visible_offline_dialogs" if is_offline else "visible_online_dialogs")
    if operator.is_supervisor or not limit:
        limit = queues.MOST_FOR_SUPERVISOR
    rows = queues.queued(operator, is_offline=is_offline, parts=parts)
    shown = list(_cards(rows)[:limit])
    full = len(shown) == limit
    count = max(queues.waiting_count(operator, is_offline=is_offline, parts=parts), limit) if full else len(shown)
    return _panel(section, shown, count, limit)


def _panel(section: queues.Section, shown: list[Dialog], count: int, limit: int) -> Panel:
    note = ""
    if len(shown) < limit:
        count = len(shown)  # counted a moment later, when another may have come
    elif count > len(shown):
        note = _("And %(more)s more. This section shows the oldest ones only, %(shown)s at most.") % {
            "more": count - len(shown),
            "shown": limit,
        }
    return Panel(section.value, str(TITLES[section]), shown, count, note, urlencode(ARCHIVED_AS[section]))


def _cards(rows: QuerySet[Dialog]) -> QuerySet[Dialog]:
    return rows.select_related("visitor", "department", "language", "operator")


def _section(dialog: Dialog, operator: Operator) -> queues.Section | None:
    return queues.section_of(
        state=dialog.state,
        holder_id=dialog.operator_id,
        is_offline=dialog.is_offline,
        in_workspace=dialog.in_workspace,
        viewer_id=operator.pk,
    )


def list_context(operator: Operator, current: int | None, *, under: int | None = None) -> dict[str, Any]:
    """What `_panel.html` needs; `current` is the number of the dialog that is open, `under` of the card under the hand.

    Where that card has left the panel, the hand is told why before it goes.
    """
    sections = panels(operator)
    departments = operator.departments.aggregate(own=Count("pk"))["own"]
    return {
        "panels": sections,
        "gone": _gone(operator, sections, under),
        "current": current,
        "shows_departments": operator.is_supervisor or departments != 1,
        "usual_language": operator.account.languages.filter(archived_at=None).values_list("pk", flat=True).first(),
    }


def _gone(operator: Operator, sections: list[Panel], under: int | None) -> tuple[int, str] | None:
    """The number of a dialog that is in none of the sections any more, and what became of it as far as the operator may know."""
    if under is None or any(dialog.number == under for panel in sections for dialog in panel.dialogs):
        return None
    dialog = queues.visible_to(operator).select_related("operator").filter(number=under).first()
    if dialog is not None and dialog.is_open and dialog.operator is not None:
        return under, _("%(who)s took it") % {"who": dialog.operator}
    if dialog is not None and not dialog.is_open:
        return under, _("Closed")
    return under, _("Not here any more")

"""The rules Z, A, S, P and Q1 to Q3 once more: small, slow, and written from behaviour.md alone.

Nothing is remembered between two questions: every answer is worked out from the whole history of facts (`facts.py`), by the
words of the rule it cites. It imports nothing from the product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.model.facts import NEVER, Dialog, History, Operator, Timeline, Visit, Visitor

GOODBYE = timedelta(seconds=2)  # P2 a
IN_FLIGHT = timedelta(seconds=0.5)  # after a goodbye: a sign was sent before it (docs/decisions/0020)
STANDS_STILL = timedelta(seconds=2)  # after the last moment at which signs of workspaces could be stored (0011)

EMAIL_ONLY_LASTS = timedelta(days=30)  # M10
OPEN = ("queue", "chatting")  # Q9
LEFT_NOTICE, WENT_OFFLINE, CAME_BACK = "left_notice", "went_offline", "came_back"  # the messages of P4, P5, P6
BROUGHT_IN = "brought_in"  # the message of M8


def due(begin: datetime, length: Timeline[int], *, zero_is_never: bool = False) -> datetime:
    """The first moment not before `begin` at which the length then set has passed since `begin`.

    Z2: the moment the rule names, but never one before the setting that caused it was stored.
    """
    for since, until, seconds in length.periods():
        if zero_is_never and seconds == 0:
            continue
        moment = max(begin + timedelta(seconds=seconds), since, begin)
        if moment < until:
            return moment
    return NEVER


# --- A: who is online


def is_online(history: History, operator: Operator, at: datetime) -> bool:
    """Effectively online at that moment (A1, A2)."""
    return operator.is_active.at(at) and operator.status.at(at) == "online" and has_live_workspace(history, operator, at)


def has_live_workspace(history: History, operator: Operator, at: datetime) -> bool:
    """A2: the last sign of life is at most `operator_lease` old.

    While signs of life cannot be stored, leases are judged by the moment at which that began (P9, docs/decisions/0011).
    """
    last = last_sign(history, operator, at)
    judged_at = min(at, history.heard.before(at) + STANDS_STILL)
    return last is not None and judged_at - last <= timedelta(seconds=history.settings["operator_lease"].at(at))


def last_sign(history: History, operator: Operator, at: datetime) -> datetime | None:
    """The last sign of life; none after signing out. When a silence of ours ends, a lease alive in it runs anew (P9)."""
    happened = [(sign, "sign", sign) for sign in operator.signs] + [(out, "out", out) for out in operator.sign_outs]
    happened += [(again, "silence", since + STANDS_STILL) for since, again in history.heard.pauses]
    last = None
    for moment, what, judged_at in sorted(happened):
        if moment > at:
            break
        if what == "sign":
            last = moment
        elif what == "out":
            last = None
        elif last is not None and judged_at - last <= timedelta(seconds=history.settings["operator_lease"].at(moment)):
            last = moment
    return last


def online_at(history: History, department: str | None, language: str, at: datetime) -> set[str]:
    """A4: names of the operators who were online for a department and a language. Without a department: by language alone (S1)."""
    return {
        operator.name
        for operator in history.operators.values()
        if is_online(history, operator, at)
        and language in operator.languages.at(at)
        and (department is None or department in operator.departments.at(at))
    }


# --- S: how a dialog starts


def department(history: History, dialog: Dialog) -> str | None:
    """A5: the department asked for; none if it is unknown or archived."""
    asked = dialog.asked_department
    known = asked in history.departments and not history.departments[asked].at(dialog.started_at)
    return asked if known else None


def language(history: History, dialog: Dialog) -> str:
    """A5: the language asked for; the account's first if it is unknown."""
    return dialog.asked_language if dialog.asked_language in history.languages else history.languages[0]


def started_offline(history: History, dialog: Dialog) -> bool:
    """S1: nobody was online for it at the moment it started."""
    return not online_at(history, department(history, dialog), language(history, dialog), dialog.started_at)


def started_email_only(history: History, dialog: Dialog) -> bool:
    """M5, M8: a left message is kept out of the workspace if that was set when it started."""
    return not history.settings["left_messages_in_workspace"].at(dialog.started_at) and started_offline(history, dialog)


def is_email_only(history: History, dialog: Dialog, at: datetime) -> bool:
    """M8: kept out of the workspace until it is brought in."""
    return started_email_only(history, dialog) and not any(moment <= at for moment in dialog.brought_in)


# --- P: presence


@dataclass(frozen=True)
class Period:
    """From `begin` until `end` (NEVER: still going on)."""

    begin: datetime
    end: datetime


def life(history: History, visit: Visit) -> Iterator[Period]:
    """P2: when this visit was alive. A page that comes back from the page cache is a visit again."""
    lease = history.settings["visit_lease"]
    said = [(word.at, "sign", word.heard_by) for word in visit.signs] + [(word.at, "goodbye", "") for word in visit.goodbyes]
    begin = end = goodbye = None
    for at, what, heard_by in sorted(said):
        if end is not None and end <= at:
            yield Period(begin, end)
            begin = end = goodbye = None
        if what == "goodbye":
            if end is not None and goodbye is None:
                goodbye, end = at, min(end, at + GOODBYE)
        elif goodbye is None or (at - goodbye >= IN_FLIGHT and heard_by != "web"):
            begin, end, goodbye = begin or at, due(at, lease), None
    if end is not None:
        yield Period(begin, end)


def presence(history: History, visitor: Visitor) -> list[Period]:
    """P1: the visitor is on the site while any visit is alive."""
    joined: list[Period] = []
    for period in sorted((one for visit in visitor.visits.values() for one in life(history, visit)), key=lambda one: one.begin):
        if joined and period.begin <= joined[-1].end:
            joined[-1] = Period(joined[-1].begin, max(joined[-1].end, period.end))
        else:
            joined.append(period)
    return joined


def has_token(visitor: Visitor, at: datetime) -> bool:
    """P7: the visitor has a push token while any device of theirs has one."""
    return any(device.at(at) is not None for device in visitor.tokens.values())


@dataclass(frozen=True)
class Absence:
    """One absence as a dialog sees it: its `left at` (P3), the deadlines that were reached in it, and how it ended."""

    left_at: datetime
    ended_at: datetime
    noticed_at: datetime | None  # P4
    offline_at: datetime | None  # P5
    came_back: bool  # P6: ended by a new visit; else by a push token (P7), by the dialog's end, or not yet


def closings(history: History, dialog: Dialog) -> list[tuple[datetime, str]]:
    """Q9: when and how the dialog was closed: by a person, or, email-only, 30 days after its last message (M10)."""
    if dialog.closings or not started_email_only(history, dialog) or dialog.brought_in:
        return dialog.closings
    return [(dialog.written[-1].at + EMAIL_ONLY_LASTS, "closed")]


def open_periods(history: History, dialog: Dialog) -> list[Period]:
    """Q9: from its start until it was closed."""
    ends = [moment for moment, _ in closings(history, dialog)]
    return [Period(dialog.started_at, ends[0] if ends else NEVER)]


def absences(history: History, dialog: Dialog) -> Iterator[Absence]:
    """P3 to P7 and P10: every absence of the visitor that touches the open dialog, each deadline with its own moment."""
    notice, offline = history.settings["left_notice_after"], history.settings["offline_after"]
    for begin, end, back in away(history, dialog):
        noticed_at = due(begin, notice, zero_is_never=True)
        offline_at = due(begin, offline, zero_is_never=True)
        yield Absence(
            begin,
            end,
            noticed_at if noticed_at <= end and noticed_at != NEVER else None,
            offline_at if offline_at <= end and offline_at != NEVER else None,
            back,
        )


def away(history: History, dialog: Dialog) -> Iterator[tuple[datetime, datetime, bool]]:
    """(left at, until, ended by a new visit) for each time the dialog's visitor was away from it while it was open."""
    here = presence(history, dialog.visitor)
    for opened in open_periods(history, dialog):
        moments = {period.begin for period in here} | {period.end for period in here} | {opened.begin, opened.end}
        if dialog.from_app:
            moments |= {at for device in dialog.visitor.tokens.values() for at, _ in device.changes}
        left_at, met = None, False
        for at in sorted(moment for moment in moments if opened.begin <= moment <= opened.end):
            present = any(period.begin <= at < period.end for period in here)
            met = met or present  # P10: without any visit no absence begins
            always_online = dialog.from_app and has_token(dialog.visitor, at)
            is_away = met and not present and not always_online and at < opened.end
            if is_away and left_at is None:
                left_at = at
            elif left_at is not None and not is_away:
                yield left_at, at, present and at < opened.end
                left_at = None


# --- what a dialog shows


@dataclass(frozen=True)
class Shown:
    """A dialog as it stands at one moment."""

    is_open: bool
    is_offline: bool  # current state (P5, P10)
    away_since: datetime | None  # P3: the card's label stands, with this `left at`


def shown(history: History, dialog: Dialog, at: datetime) -> Shown:
    """P3, P5, P6, P10: the dialog's current state and label at that moment."""
    is_open = any(period.begin <= at < period.end for period in open_periods(history, dialog))
    now = next((one for one in absences(history, dialog) if one.left_at <= at < one.ended_at), None)
    if now is not None:
        return Shown(is_open, now.offline_at is not None and now.offline_at <= at, now.left_at)
    always_online = dialog.from_app and has_token(dialog.visitor, at)
    met = any(period.begin <= at and period.end > dialog.started_at for period in presence(history, dialog.visitor))
    return Shown(is_open, not met and not always_online, None)


def messages(history: History, dialog: Dialog, at: datetime) -> list[tuple[datetime, str]]:
    """(moment, who or which system message) of everything in the dialog up to that moment, in order of the moments."""
    told = [(one.at, one.author) for one in dialog.written]
    told += [(moment, BROUGHT_IN) for moment in dialog.brought_in]
    for absence in absences(history, dialog):
        if absence.noticed_at:
            told.append((absence.noticed_at, LEFT_NOTICE))  # P4, once per absence
        if absence.offline_at:
            told.append((absence.offline_at, WENT_OFFLINE))  # P5, once per absence
        if absence.came_back and (absence.noticed_at or absence.offline_at):
            told.append((absence.ended_at, CAME_BACK))  # P6
    return sorted(one for one in told if one[0] <= at)


def state(history: History, dialog: Dialog, at: datetime) -> str:
    """Q9: queue, chatting, or how it was closed."""
    closed = [how for moment, how in closings(history, dialog) if moment <= at]
    if closed:
        return closed[0]
    return "chatting" if any(moment <= at for moment, _ in dialog.takings) else "queue"


def section(history: History, dialog: Dialog, operator: Operator, at: datetime) -> str | None:
    """Q1 to Q3: the part of this operator's left panel that holds the dialog; None if no part does."""
    if state(history, dialog, at) not in OPEN or is_email_only(history, dialog, at):
        return None
    taken = [name for moment, name in dialog.takings if moment <= at]
    if taken:
        if taken[-1] == operator.name:
            return "in_dialog"
        return "others" if operator.is_supervisor else None
    asked, spoken = department(history, dialog), language(history, dialog)
    mine = spoken in operator.languages.at(at) and (asked is None or asked in operator.departments.at(at))
    if not (operator.is_supervisor or mine):
        return None
    return "offline" if shown(history, dialog, at).is_offline else "general"


# --- where a message goes


def receiver(history: History, visitor: Visitor, asked_department: str | None, asked_language: str, at: datetime) -> Dialog | None:
    """Q9, M10: the open dialog that a visitor's message written now joins; None: it starts one.

    An email-only dialog is joined only while the service is offline for what the message asks for.
    """
    theirs = [one for one in history.dialogs if one.visitor is visitor and state(history, one, at) in OPEN]
    for dialog in theirs:
        if not started_email_only(history, dialog):
            return dialog
    for dialog in theirs:
        new = Dialog(visitor, at, asked_department, asked_language)
        if not is_email_only(history, dialog, at) or started_offline(history, new):
            return dialog
    return None


def ends_of_visits(history: History) -> list[datetime]:
    """Every moment at which a visit ended, or will end if nothing else happens."""
    return [
        period.end for visitor in history.visitors.values() for visit in visitor.visits.values() for period in life(history, visit)
    ]


def deadlines(history: History, at: datetime) -> list[datetime]:
    """Every moment after `at` at which something will happen by itself, as far as it can be told now."""
    moments = set(ends_of_visits(history))
    for dialog in history.dialogs:
        for absence in absences(history, dialog):
            moments |= {absence.noticed_at, absence.offline_at}
    return sorted(moment for moment in moments if moment is not None and at < moment < NEVER)

"""The rules P once more, and what a dialog shows: small, slow, and written from behaviour.md alone.

With start_rules.py (Z, A, S), life_rules.py (Q9, Q11) and queue_rules.py (Q) it is the oracle. Nothing is remembered between
two questions: every answer is worked out from the whole history of facts (`facts.py`), by the words of the rule it cites. It
imports nothing from the product. Moments are those of the facts, told by a clock that nobody
sets; `Deadline.stored` and `messages` are by the clock on the wall.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tests.model.facts import NEVER, Dialog, History, Process, Visit, Visitor, Word
from tests.model.life_rules import life_at, lives
from tests.model.start_rules import Deadline, deadline, due, stored_at

GOODBYE = timedelta(seconds=2)  # P2 a
IN_FLIGHT = timedelta(seconds=0.5)  # after a goodbye: a sign may have been sent before it, on another connection
SETTLING = timedelta(seconds=0.3)  # after a goodbye's two seconds: then it is written (docs/decisions/0003)
PROCESS_LEASE = timedelta(seconds=30)  # of a live process, for all visits it holds (docs/decisions/0003)
LEFT_NOTICE, WENT_OFFLINE, CAME_BACK = "left_notice", "went_offline", "came_back"  # the messages of P4, P5, P6
BROUGHT_IN = "brought_in"  # the message of M8


# --- P: presence


@dataclass(frozen=True)
class Period:
    """From `begin` until `end` (NEVER: still going on)."""

    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Presence(Period):
    """Of a visit or a visitor. `known_at`: when its end was stored, as far as nothing stored before had told of it."""

    known_at: datetime


def life(history: History, visit: Visit) -> Iterator[Presence]:
    """P2: when this visit was alive. A page that comes back from the page cache is a visit again."""
    said = [(word.at, "sign", word) for word in visit.signs] + [(word.at, "goodbye", word) for word in visit.goodbyes]
    begin = end = goodbye = None
    latest: dict[bool, Word] = {}  # its latest sign of life: heard by a live process, or not
    for at, what, word in sorted(said, key=lambda one: one[:2]):
        if end is not None and end <= at:
            yield Presence(begin, end, written_at(history, end, goodbye, latest))
            begin = end = goodbye = None
            latest = {}
        is_live = word.heard_by in history.processes
        if what == "goodbye":
            if end is not None and goodbye is None and not is_lost(history, word):
                goodbye, end = at, min(end, at + GOODBYE)
        elif goodbye is None or (at - goodbye >= IN_FLIGHT and is_live):
            latest[is_live] = word
            begin, goodbye = begin or at, None
            end = silent_at(history, latest)
    if end is not None:
        yield Presence(begin, end, written_at(history, end, goodbye, latest))


def silent_at(history: History, latest: dict[bool, Word]) -> datetime:
    """P2 b: when the leases of a page's latest signs of life are over, the one a live process heard and its message's.

    That process ends the visit, with the moment of the later lease, if both are over when it looks; else the sweep does.
    """
    ends = [runs_out(history, sign) for sign in latest.values()]
    if len(latest) > 1:
        live, message = runs_out(history, latest[True]), due(latest[False].at, history.settings["visit_lease"])
        looked_at = next((turn for turn in history.processes[latest[True].heard_by].turns if turn >= live), None)
        if looked_at is not None and message <= looked_at:
            return max(live, message)
    return max(ends)


def written_at(history: History, end: datetime, goodbye: datetime | None, latest: dict[bool, Word]) -> datetime:
    """Z2: when it was stored that a visit ended. Until when a message, or a killed process, keeps it alive is stored before."""
    process = history.processes[latest[True].heard_by] if True in latest else None
    if process is None or (process.killed_at is not None and end > process.runs.last):
        return end
    found_at = end + SETTLING if goodbye is not None else runs_out(history, latest[True])
    written = next((turn for turn in process.turns if turn >= found_at), end)
    return max(written, end)


def is_lost(history: History, goodbye: Word) -> bool:
    """P9: what a live process had not written when it was killed is not known: the lease of its visits decides."""
    process = history.processes[goodbye.heard_by]
    return process.killed_at is not None and process.runs.last < goodbye.at + GOODBYE + SETTLING


def runs_out(history: History, sign: Word) -> datetime:
    """P2 b, P9: when the lease that this sign of life began is over, if no other sign comes.

    An outage gives a lease alive at the last run before it one full lease from its end. Whose run: of the live process that
    heard the sign; of the sweep for what no live process heard. Who comes back after an outage tells the live processes.
    """
    lease = history.settings["visit_lease"]
    process = history.processes.get(sign.heard_by)
    end = due(sign.at, lease)
    if process is None:
        for pause in history.sweep.pauses:
            if sign.at < pause.again and pause.last < end:
                end = max(end, due(pause.again, lease))
        return end
    pauses = [(pause.again, pause.last) for pause in process.runs.pauses]
    pauses += [(pause.again, pause.again) for pause in history.sweep.pauses]  # meanwhile the process went on ending leases
    for again, alive_at in sorted(pauses):
        if sign.at < again and alive_at < end and (process.killed_at is None or again < process.killed_at):
            end = max(end, due(again, lease))
    if process.killed_at is None or end <= process.runs.last:
        return end
    return runs_out_after(history, process)


def runs_out_after(history: History, process: Process) -> datetime:
    """P9: when the visits end that a live process held when it was killed, unless they are heard of elsewhere.

    By its own lease, and not before a visit's lease has passed since it renewed that (docs/decisions/0003).
    """
    lease = history.settings["visit_lease"]
    alive_at = process.renewed_at
    end = max(alive_at + PROCESS_LEASE, due(alive_at, lease))
    for pause in history.sweep.pauses:
        if pause.again > process.killed_at and pause.last < alive_at + PROCESS_LEASE:
            alive_at = pause.again
            end = max(alive_at + PROCESS_LEASE, due(alive_at, lease))
        elif pause.again > process.killed_at and pause.last < end:
            end = max(end, due(pause.again, lease))
    return end


def presence(history: History, visitor: Visitor) -> list[Presence]:
    """P1: the visitor is on the site while any visit is alive; who was not is back when that is stored (P6, Z2)."""
    joined: list[Presence] = []
    for period in sorted((one for visit in visitor.visits.values() for one in life(history, visit)), key=lambda one: one.begin):
        if joined and period.begin <= joined[-1].end:
            last = max(joined[-1], period, key=lambda one: one.end)
            joined[-1] = Presence(joined[-1].begin, last.end, last.known_at)
        else:
            joined.append(replace(period, begin=stored_at(history, period.begin)))
    return joined


def devices(history: History, at: datetime) -> dict[str, tuple[str, str]]:
    """P7: for each device the visitor who last used it, and its push token ("": none), as they were at that moment.

    A token belongs to one device: the one that told it last (docs/decisions/0012).
    """
    said = [(report.at, report.token, report) for report in history.reports]
    said += [(moment, token, None) for moment, token in history.refused_tokens]
    known: dict[str, tuple[str, str]] = {}
    for moment, token, report in sorted(said, key=lambda one: one[0]):
        if moment > at:
            break
        known |= {device: (user, "") for device, (user, its) in known.items() if its == token}
        if report is not None:
            before = known.get(report.device, ("", ""))[1]
            now = before if token is None else "" if token == "none" else token
            known[report.device] = (report.visitor, now)
    return known


def has_token(history: History, visitor: Visitor, at: datetime) -> bool:
    """P7: the visitor has a push token while any device of theirs has one."""
    return any(user == visitor.name and token for user, token in devices(history, at).values())


def is_always_online(history: History, dialog: Dialog, at: datetime) -> bool:
    """P7: it started in a mobile app, and its visitor has a push token."""
    return dialog.from_app and has_token(history, dialog.visitor, at)


@dataclass(frozen=True)
class Absence:
    """One absence as a dialog sees it: its `left at` (P3), the deadlines that were reached in it, and how it ended."""

    left_at: datetime
    ended_at: datetime
    noticed: Deadline | None  # P4
    offline: Deadline | None  # P5
    came_back: bool  # P6: ended by a new visit; else by a push token (P7), by the dialog's end, or not yet


def absences(history: History, dialog: Dialog) -> Iterator[Absence]:
    """P3 to P7 and P10: every absence of the visitor that touches the open dialog, each deadline with its own moment."""
    here = presence(history, dialog.visitor)
    for begin, end, back in away(history, dialog):
        known_at = max([begin, *(period.known_at for period in here if period.end <= begin)])
        noticed, offline = (deadline(history, begin, known_at, name) for name in ("left_notice_after", "offline_after"))
        is_told = not back or known_at < end  # not of whoever is back by the moment at which it is stored that they had left
        reached = [one if is_told and one.reached_at <= end and one.reached_at != NEVER else None for one in (noticed, offline)]
        yield Absence(begin, end, *reached, back)


def away(history: History, dialog: Dialog) -> Iterator[tuple[datetime, datetime, bool]]:
    """(left at, until, ended by a new visit) for each time the dialog's visitor was away from it while it was open."""
    here = presence(history, dialog.visitor)
    for opened in lives(history, dialog):
        moments = {period.begin for period in here} | {period.end for period in here} | {opened.begin, opened.end}
        if dialog.from_app:
            moments |= {report.at for report in history.reports} | {at for at, _ in history.refused_tokens}
        left_at, met = None, False
        for at in sorted(moment for moment in moments if opened.begin <= moment <= opened.end):
            present = any(period.begin <= at < period.end for period in here)
            always_online = is_always_online(history, dialog, at)
            met = met or present or always_online  # P10: before a first visit no absence begins, but after a token it does (P7)
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
    opened = life_at(history, dialog, at)
    now = next((one for one in absences(history, dialog) if one.left_at <= at < one.ended_at), None)
    if now is not None:
        return Shown(at < opened.end, now.offline is not None and now.offline.reached_at <= at, now.left_at)
    always_online = is_always_online(history, dialog, at)
    met = any(period.begin <= at and period.end > opened.begin for period in presence(history, dialog.visitor))
    return Shown(at < opened.end, not met and not always_online, None)


def messages(history: History, dialog: Dialog, at: datetime) -> list[tuple[datetime, str]]:
    """(moment, who or which system message) of everything in the dialog up to that moment, as stored and in that order."""
    told = [(one.at, history.shown(one.at), one.author) for one in dialog.written]
    told += [(moment, history.shown(moment), BROUGHT_IN) for moment in dialog.brought_in]
    for absence in absences(history, dialog):
        if absence.noticed:
            told.append((absence.noticed.reached_at, absence.noticed.stored, LEFT_NOTICE))  # P4, once per absence
        if absence.offline:
            told.append((absence.offline.reached_at, absence.offline.stored, WENT_OFFLINE))  # P5, once per absence
        if absence.came_back and (absence.noticed or absence.offline):
            told.append((absence.ended_at, history.shown(absence.ended_at), CAME_BACK))  # P6
    return sorted((stored, what) for moment, stored, what in told if moment <= at)


def ends_of_visits(history: History) -> list[datetime]:
    """Every moment at which a visit ended, or will end if nothing else happens."""
    return [
        period.end for visitor in history.visitors.values() for visit in visitor.visits.values() for period in life(history, visit)
    ]


def deadlines(history: History, at: datetime) -> list[datetime]:
    """Every moment after `at` at which presence will do something by itself, as far as it can be told now."""
    moments = set(ends_of_visits(history))
    for dialog in history.dialogs:
        for absence in absences(history, dialog):
            moments |= {one.reached_at for one in (absence.noticed, absence.offline) if one is not None}
    return sorted(moment for moment in moments if at < moment < NEVER)

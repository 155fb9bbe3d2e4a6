"""The rules Z, A and S once more: who is online, and how a dialog starts; written from behaviour.md alone (see oracle.py)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.model.facts import NEVER, Dialog, History, Operator, Timeline

STANDS_STILL = timedelta(seconds=2)  # after the last moment at which signs of workspaces could be stored (0011)


def due(begin: datetime, length: Timeline[int]) -> datetime:
    """The first moment not before `begin` at which the length then set has passed since `begin`.

    Z2: the moment the rule names, but never one before the setting that caused it was stored.
    """
    for since, until, seconds in length.periods():
        moment = max(begin + timedelta(seconds=seconds), since, begin)
        if moment < until:
            return moment
    return NEVER


@dataclass(frozen=True)
class Deadline:
    """When it is reached, and the moment it is stored with, by the clock on the wall."""

    reached_at: datetime
    stored: datetime


def deadline(history: History, left_at: datetime, known_at: datetime, setting: str) -> Deadline:
    """P4, P5: reached when the clock on the wall first shows that the length then set (0: never) has passed since `left_at`.

    Z2, Z3: it is stored with the moment the rule names, though the clock was set beyond it; with none before the setting was
    stored, nor before `known_at`, when it was stored that the visitor had left.
    """
    for since, until, seconds in history.settings[setting].periods():
        if seconds == 0:
            continue
        stored = history.shown(left_at) + timedelta(seconds=seconds)
        for caused_at in (since, known_at):
            if caused_at > left_at:
                stored = max(stored, history.shown(caused_at))
        for clock_set, clock_set_again, ahead in history.ahead.periods():
            reached = max(stored - ahead, known_at, since, clock_set)
            if reached < min(until, clock_set_again):
                return Deadline(reached, stored)
    return Deadline(NEVER, NEVER)


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
    happened = [(stored_at(history, sign), "sign", sign) for sign in operator.signs]
    happened += [(out, "out", out) for out in operator.sign_outs]
    happened += [(pause.again, "silence", pause.last + STANDS_STILL) for pause in history.heard.pauses]
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


def stored_at(history: History, at: datetime) -> datetime:
    """Z2: what was heard while the database was away is stored when it is back: nothing follows from it before."""
    return next((until for since, until in history.without_database if since <= at < until), at)


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

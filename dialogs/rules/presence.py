"""The rules of presence and of closing by time (P3 to P7, P10, Q9, Q11), pure: facts and settings in, steps and alarm out.

No Django here. Moments are aware datetimes from the database's clock; a step carries the moment its rule names (Z2).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

EMAIL_ONLY_CLOSES_AFTER = timedelta(days=30)  # M10, fixed


class Step(StrEnum):
    """What presence and time can do to a dialog."""

    LEFT_NOTICE = "left_notice"  # P4: the message that the visitor left
    WENT_OFFLINE = "went_offline"  # P5
    RETURNED = "returned"  # P6, after a message of P4 or P5
    CLOSED_BY_TIME = "closed_by_time"  # M10: an email-only dialog, 30 days after its last message
    CLOSED_BY_SILENCE = "closed_by_silence"  # Q11: the last word is the operator's, and the visitor says nothing
    CLOSED_FOR_GOOD = "closed_for_good"  # Q9: a closed dialog can be reopened no longer


ORDER = {step: place for place, step in enumerate(Step)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What presence knows of one dialog.

    `away_since` is the visitor's `left at` (P3), None while a visit is alive or none ever was; `left_notice_at` and
    `went_offline_at` say which messages of this absence are written; `is_offline` is the current state. `always_online`:
    it started in a mobile app and its visitor has a push token now (P7); `away_not_before` is when the last one went.
    `closes_at` is when time alone does `closing` to it.
    """

    away_since: datetime | None = None
    left_notice_at: datetime | None = None
    went_offline_at: datetime | None = None
    is_offline: bool = False
    is_open: bool = True
    closes_at: datetime | None = None
    closing: Step = Step.CLOSED_BY_TIME
    always_online: bool = False
    away_not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """An account's settings; None switches a step off. In force from `since` on, `before` until then.

    `reopen`: how long a closed dialog can be reopened (Q9), as it is now.
    """

    left_notice: timedelta | None
    offline: timedelta | None
    reopen: timedelta = timedelta(0)
    since: datetime | None = None
    before: "Timeouts | None" = None


Due = tuple[datetime, Step]


def timeouts_from_seconds(
    left_notice_after: int,
    offline_after: int,
    since: datetime | None = None,
    before: Timeouts | None = None,
    reopen_window: int = 0,
) -> Timeouts:
    """An account's numbers (seconds, 0 = never) as Timeouts."""
    return Timeouts(
        left_notice=timedelta(seconds=left_notice_after) if left_notice_after else None,
        offline=timedelta(seconds=offline_after) if offline_after else None,
        reopen=timedelta(seconds=reopen_window),
        since=since,
        before=before,
    )


def in_force(timeouts: Timeouts, at: datetime) -> Timeouts:
    """The settings that were in force at a moment."""
    while timeouts.before is not None and timeouts.since is not None and at < timeouts.since:
        timeouts = timeouts.before
    return timeouts


NO_ABSENCE = timeouts_from_seconds(0, 0)  # for facts without an absence the settings do not matter


def pending(facts: Facts, timeouts: Timeouts) -> Iterable[Due]:
    """Every step still ahead if nothing else happens, each with its moment."""
    if facts.closes_at is not None:
        yield facts.closes_at, facts.closing
    if not facts.is_open:
        return
    if facts.away_since is not None:
        if facts.left_notice_at is None and (at := _over_at(Step.LEFT_NOTICE, facts.away_since, timeouts)):
            yield at, Step.LEFT_NOTICE
        if facts.went_offline_at is None and (at := _over_at(Step.WENT_OFFLINE, facts.away_since, timeouts)):
            yield at, Step.WENT_OFFLINE


def _over_at(step: Step, away_since: datetime, timeouts: Timeouts) -> datetime | None:
    """When an absence has lasted long enough for a step, by the settings in force at that moment; None: it never has.

    Z2: a shorter time cannot act before it was stored, and what a former time did, late noticed or not, it did then.
    """
    if timeouts.before is not None and timeouts.since is not None:
        formerly = _over_at(step, away_since, timeouts.before)
        if formerly is not None and formerly < timeouts.since:
            return formerly
    length = timeouts.left_notice if step is Step.LEFT_NOTICE else timeouts.offline
    if length is None:
        return None
    return max(away_since + length, timeouts.since or away_since)


def _first(facts: Facts, timeouts: Timeouts) -> Due | None:
    return min(pending(facts, timeouts), key=lambda due: (due[0], ORDER[due[1]]), default=None)


def wake_at(facts: Facts, timeouts: Timeouts) -> datetime | None:
    """When to look at this dialog again: never late, None when time alone can do nothing to it."""
    first = _first(facts, timeouts)
    return first[0] if first else None


def advance(facts: Facts, timeouts: Timeouts, now: datetime) -> tuple[Facts, list[Due]]:
    """The facts as they stand at `now`, and the steps that led there, in the order of their moments."""
    steps: list[Due] = []
    while (first := _first(facts, timeouts)) and first[0] <= now:
        facts = _taken(facts, *first, timeouts.reopen)
        steps.append(first)
    return facts, steps


def caught_up(facts: Facts, timeouts: Timeouts, now: datetime) -> tuple[Facts, list[Due]]:
    """The same of presence alone: what an absence has led to by `now`, or until the dialog closes, before something ends it."""
    reached, steps = advance(replace(facts, closes_at=None), timeouts, min(now, facts.closes_at or now))
    return replace(reached, closes_at=facts.closes_at), steps


def _taken(facts: Facts, at: datetime, step: Step, reopen: timedelta) -> Facts:
    match step:
        case Step.LEFT_NOTICE:
            return replace(facts, left_notice_at=at)
        case Step.WENT_OFFLINE:
            return replace(facts, went_offline_at=at, is_offline=True)
        case Step.CLOSED_BY_SILENCE:
            return closed(facts, at + reopen)
        case Step.CLOSED_BY_TIME | Step.CLOSED_FOR_GOOD:
            return replace(facts, is_open=False, closes_at=None)
        case _:
            raise ValueError(f"time alone does not lead to {step}")


def left(facts: Facts, at: datetime) -> Facts:
    """P3: the visitor's last visit ended at `at`. A second word of the same absence changes nothing.

    Nor does it while a push token keeps the dialog online (P7); once that is gone, nobody was absent before it went.
    """
    if not facts.is_open or facts.always_online or facts.away_since is not None:
        return facts
    return replace(facts, away_since=max(at, facts.away_not_before or at))


def returned(facts: Facts, at: datetime) -> tuple[Facts, list[Due]]:
    """P6: a visit began at `at`: everything of the absence is undone; a message only answers an earlier one."""
    if not facts.is_open:
        return facts, []
    told = facts.left_notice_at is not None or facts.went_offline_at is not None
    return _undone(facts), [(at, Step.RETURNED)] if told else []


def token_arrived(facts: Facts) -> Facts:
    """P7: the visitor of a dialog that started in an app has a push token: P3 to P5 are undone, without a message."""
    return replace(_undone(facts), always_online=True) if facts.is_open else facts


def token_removed(facts: Facts, at: datetime, *, present: bool) -> Facts:
    """P7: the visitor's last push token went at `at`: an absence starts then, unless a visit is alive."""
    if not facts.is_open or not facts.always_online:
        return facts
    return replace(facts, always_online=False, away_since=None if present else at, away_not_before=at)


def _undone(facts: Facts) -> Facts:
    return replace(facts, away_since=None, left_notice_at=None, went_offline_at=None, is_offline=False, away_not_before=None)


def closed(facts: Facts, for_good_at: datetime) -> Facts:
    """Q9: somebody closed it; until that moment a message of the visitor reopens it."""
    return replace(facts, is_open=False, closes_at=for_good_at, closing=Step.CLOSED_FOR_GOOD)


def start(*, visitor_present: bool, always_online: bool = False, closes_at: datetime | None = None) -> Facts:
    """P10: the facts of a new dialog. Without any visit it is offline and nothing is due until a first visit; unless P7."""
    return Facts(is_offline=not visitor_present and not always_online, always_online=always_online, closes_at=closes_at)


def in_app_only(*, always_online: bool, is_present: bool) -> bool:
    """P7: online by the push token alone, nobody is there."""
    return always_online and not is_present


def postponed(facts: Facts, closes_at: datetime | None) -> Facts:
    """M10, Q11: a new message moves the closing by time; None: it does not close by time now."""
    return replace(facts, closes_at=closes_at)

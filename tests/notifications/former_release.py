"""The letter writer and the event writer of the release before duties, frozen, to run beside those of today (decision 0018).

Everything from `write_due_letters` on is that release's module word for word. `writes_events` makes this process write events
as that release did: those of six kinds with `handled_at` null, and no duties.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from unittest.mock import patch

from django.db import transaction
from django.db.models import Count, Exists, Max, Min, OuterRef, Q

from dialogs.actions import record
from dialogs.actions.conversation import bring_into_workspace
from dialogs.actions.duties import NewDuties
from dialogs.actions.errors import DialogClosed
from dialogs.actions.ledger import record_deliveries
from dialogs.models import Delivery, DeliveryStatus, Dialog, DialogEvent, EventKind, Message, MessageKind, Purpose, StartState
from notifications.models import LetterKind, OutgoingEmail
from notifications.outgoing.compose import MOST_MESSAGES, Letter, News, compose, contacts_of, letter_language
from notifications.outgoing.mime import mail_domain
from operators.models import Language
from operators.validators import addresses
from webim_offline.foundation.database.clock import database_now

AWAITED_KINDS = frozenset(
    {
        EventKind.STARTED,
        EventKind.VISITOR_WROTE,
        EventKind.CONTACTS_LEFT,
        EventKind.PICKED_UP,
        EventKind.CLOSED_BY_VISITOR,
        EventKind.CLOSED_BY_OPERATOR,
    }
)


class NoDuties(NewDuties):
    """Every event of these kinds waits for its letter, and nothing is written but the event."""

    def add(self, dialog: Dialog, kind: str, at: datetime) -> set[Purpose]:
        return {Purpose.LEFT_MESSAGE_LETTERS} if kind in AWAITED_KINDS else set()


@contextmanager
def writes_events() -> Iterator[None]:
    """Within it this process writes events as the former release did."""
    with patch.object(record, "NewDuties", NoDuties):
        yield


logger = logging.getLogger(__name__)
WINDOW = timedelta(seconds=15)  # M2, fixed: what a visitor writes within it travels together
TRY_FOR = timedelta(hours=24)  # M3, fixed
LONGEST_THREAD = 8  # Message-IDs in References: the first letter and the latest ones
BATCH = 50
SKIMMED = 1000
PUT_OFF_FOR = 60.0  # seconds until a dialog whose letter could not be rendered is looked at again

_put_off: dict[int, float] = {}  # dialog id -> monotonic moment; a dialog that fails must not hold up the others


def write_due_letters() -> int:
    """Write the letters that are due; returns how many dialogs were looked at. Reads only, when nothing is due."""
    _let_online_ones_go()
    dialog_ids = _due_dialog_ids()
    if not dialog_ids:
        return 0
    with transaction.atomic():
        return _write_letters(dialog_ids)


def _let_online_ones_go() -> None:
    """M1: a dialog that started online is never mailed; its events are done with at once."""
    waiting = DialogEvent.objects.filter(handled_at=None, dialog__start_state=StartState.ONLINE)
    while waiting.exists():
        with transaction.atomic():
            rows = waiting.select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("pk")
            ids = list(rows.values_list("pk", flat=True)[:SKIMMED])
            DialogEvent.objects.filter(pk__in=ids).update(handled_at=database_now())
        if len(ids) < SKIMMED:
            return


def _due_dialog_ids() -> list[int]:
    """Dialogs whose oldest unhandled event is a window old, and those picked up after a letter went out: that is said at once."""
    now, clock = database_now(), time.monotonic()
    for dialog_id in [key for key, until in _put_off.items() if until <= clock]:
        del _put_off[dialog_id]
    told = OutgoingEmail.objects.filter(dialog=OuterRef("dialog_id"))
    rows = (
        DialogEvent.objects.filter(handled_at=None, dialog__start_state=StartState.OFFLINE)
        .exclude(dialog__in=list(_put_off))
        .order_by()
        .values("dialog_id")
        .annotate(oldest=Min("at"), pick_ups=Count("pk", filter=Q(kind=EventKind.PICKED_UP)), is_told=Exists(told))
        .filter(Q(oldest__lte=now - WINDOW) | Q(pick_ups__gt=0, is_told=True))
        .order_by("oldest")
    )
    return [row["dialog_id"] for row in rows[:BATCH]]


@dataclass(slots=True)
class Batch:
    """What one transaction puts into the outbox and the ledger."""

    now: datetime
    letters: list[OutgoingEmail] = field(default_factory=list)
    lines: list[Delivery] = field(default_factory=list)


def _write_letters(dialog_ids: Sequence[int]) -> int:
    # a dialog's lock is held by whoever adds to it, so its events and messages stand still under ours
    free = Dialog.objects.filter(pk__in=dialog_ids).select_for_update(skip_locked=True, no_key=True).order_by("pk")
    locked = list(free.values_list("pk", flat=True))
    # read only now: what is joined to a row while it is being locked may be older than the row
    related = ("account", "department", "language", "visitor", "operator")
    dialogs = list(Dialog.objects.select_related(*related).filter(pk__in=locked).order_by("pk"))
    if not dialogs:
        return 0
    batch = Batch(database_now())
    events = _unhandled_events(dialogs)
    latest = _latest_letters(dialogs)
    first_languages = _first_languages({dialog.account_id for dialog in dialogs})
    done: list[int] = []
    for dialog in dialogs:
        part = Batch(batch.now)
        try:
            with transaction.atomic():
                language = letter_language(first_languages.get(dialog.account_id, ""))
                _write_of(dialog, events.get(dialog.pk, []), latest.get(dialog.pk, {}), language, part)
        except Exception:
            logger.exception("dialog %s: its letter could not be written, trying again in a minute", dialog.pk)
            _put_off[dialog.pk] = time.monotonic() + PUT_OFF_FOR
            continue
        batch.letters += part.letters
        batch.lines += part.lines
        done += [event.pk for event in events.get(dialog.pk, [])]
    OutgoingEmail.objects.bulk_create(batch.letters)
    record_deliveries(batch.lines)
    DialogEvent.objects.filter(pk__in=done).update(handled_at=batch.now)
    return len(dialogs)


def _unhandled_events(dialogs: Iterable[Dialog]) -> dict[int, list[DialogEvent]]:
    rows = DialogEvent.objects.select_related("actor").filter(dialog__in=dialogs, handled_at=None).order_by("revision", "pk")
    found: dict[int, list[DialogEvent]] = {}
    for event in rows:
        found.setdefault(event.dialog_id, []).append(event)
    return found


def _latest_letters(dialogs: Iterable[Dialog]) -> dict[int, dict[str, OutgoingEmail]]:
    """The last letter to each recipient of each dialog: what that person knows already."""
    last = OutgoingEmail.objects.filter(dialog__in=dialogs).order_by().values("dialog", "recipient").annotate(last=Max("pk"))
    rows = OutgoingEmail.objects.filter(pk__in=last.values("last")).defer("text", "html")
    found: dict[int, dict[str, OutgoingEmail]] = {}
    for letter in rows:
        found.setdefault(letter.dialog_id, {})[letter.recipient] = letter
    return found


def _first_languages(account_ids: Iterable[int]) -> dict[int, str]:
    rows = Language.objects.filter(account__in=account_ids, archived_at=None).order_by("-position", "-pk")
    return dict(rows.values_list("account_id", "code"))


def _write_of(
    dialog: Dialog, events: Sequence[DialogEvent], latest: Mapping[str, OutgoingEmail], language: str, batch: Batch
) -> None:
    if not events:
        return
    recipients = recipients_of(dialog)
    if not recipients:
        _note_no_address(dialog, events, batch)
        return
    rendered: dict[tuple[object, ...], Letter] = {}
    for recipient in recipients:
        before = latest.get(recipient)
        news = _news_for(dialog, events, before)
        if news is None:
            continue
        subject = f"Re: {before.subject.removeprefix('Re: ')}" if before else ""
        # recipients to whom the same is new get the same words
        same = (news.kind, subject, news.left_out, tuple(m.pk for m in news.messages), tuple(news.contacts.items()))
        if same not in rendered:
            rendered[same] = compose(dialog, news, language=language, subject=subject)
        letter = rendered[same]
        told_revision = max([m.revision for m in news.messages], default=before.told_revision if before else 0)
        email = OutgoingEmail(
            account_id=dialog.account_id,
            dialog=dialog,
            kind=news.kind,
            dedupe_key=_dedupe_key(dialog, news.kind, events[-1].revision, recipient),
            recipient=recipient,
            subject=letter.subject,
            text=letter.text,
            html=letter.html,
            message_id=f"<{uuid.uuid4().hex}@{mail_domain()}>",
            thread=_thread(before),
            told_revision=told_revision,
            told_contacts=contacts_of(dialog),
            tells_pick_up=bool(news.who),
            created_at=batch.now,
            next_try_at=batch.now,
            give_up_at=batch.now + TRY_FOR,
        )
        batch.letters.append(email)
        batch.lines.append(_line(dialog, email.dedupe_key, recipient, DeliveryStatus.QUEUED, batch.now))


def _line(dialog: Dialog, key: str, recipient: str, status: DeliveryStatus, now: datetime) -> Delivery:
    return Delivery(dialog=dialog, key=key, recipient=recipient[:254], status=status, queued_at=now, updated_at=now)


def recipients_of(dialog: Dialog) -> list[str]:
    """M1: the department's own addresses, else the account's; from settings only (M4)."""
    own = addresses(dialog.department.left_messages_email) if dialog.department else []
    return own or addresses(dialog.account.left_messages_email)


def _news_for(dialog: Dialog, events: Sequence[DialogEvent], before: OutgoingEmail | None) -> News | None:
    """What this recipient is told now, if anything (M2)."""
    starts = any(event.kind == EventKind.STARTED for event in events)
    pick_up = next((event for event in events if event.kind == EventKind.PICKED_UP), None)
    is_picked_up = dialog.in_workspace and dialog.picked_up_at is not None
    if before is None:
        adds = any(event.kind in {EventKind.VISITOR_WROTE, EventKind.CONTACTS_LEFT} for event in events)
        if not starts and (is_picked_up or not adds):
            return None
        messages, left_out = _messages(dialog, after=0)
        who = _who(dialog, pick_up) if is_picked_up else ""
        return News(LetterKind.FIRST, messages, left_out, contacts_of(dialog), who)
    if before.tells_pick_up or (is_picked_up and pick_up is None):
        return None
    until = pick_up.revision if pick_up and is_picked_up else None
    messages, left_out = _messages(dialog, after=before.told_revision, until=until)
    contacts = {key: value for key, value in contacts_of(dialog).items() if before.told_contacts.get(key) != value}
    if is_picked_up:
        return News(LetterKind.PICKED_UP, messages, left_out, contacts, _who(dialog, pick_up))
    return News(LetterKind.FOLLOW_UP, messages, left_out, contacts) if messages or contacts else None


def _messages(dialog: Dialog, *, after: int, until: int | None = None) -> tuple[list[Message], int]:
    """The visitor's messages between two revisions, at most MOST_MESSAGES of the latest, and how many that leaves out."""
    rows = Message.objects.filter(dialog=dialog, kind=MessageKind.VISITOR, revision__gt=after)
    if until is not None:
        rows = rows.filter(revision__lt=until)
    found = list(rows.order_by("-revision")[: MOST_MESSAGES + 1])
    if len(found) <= MOST_MESSAGES:
        return found[::-1], 0
    return found[:MOST_MESSAGES][::-1], rows.count() - MOST_MESSAGES


def _who(dialog: Dialog, pick_up: DialogEvent | None) -> str:
    return str(pick_up.actor if pick_up and pick_up.actor else dialog.operator or "")


def _thread(before: OutgoingEmail | None) -> list[str]:
    if before is None:
        return []
    ids = [*before.thread, before.message_id]
    return ids if len(ids) <= LONGEST_THREAD else [ids[0], *ids[1 - LONGEST_THREAD :]]


def _dedupe_key(dialog: Dialog, kind: str, revision: int, recipient: str) -> str:
    """One first letter and one that tells the pick-up for each recipient; a follow-up for each point of the dialog."""
    point = f"-{revision}" if kind == LetterKind.FOLLOW_UP else ""
    return f"{dialog.pk}:{kind}{point}:{hashlib.sha256(recipient.encode()).hexdigest()[:16]}"


def _note_no_address(dialog: Dialog, events: Sequence[DialogEvent], batch: Batch) -> None:
    """M1: with no address a left message only arrives in the workspace, and its ledger says so."""
    if any(event.kind == EventKind.STARTED for event in events):
        line = Delivery(
            dialog=dialog, key="no-address", status=DeliveryStatus.NO_ADDRESS, queued_at=batch.now, updated_at=batch.now
        )
        batch.lines.append(line)
    if not dialog.in_workspace:
        # the settings forbid it, but the last address may have gone between the message and now: nothing is lost (M7)
        try:
            bring_into_workspace(dialog.pk, actor=None, undelivered=DeliveryStatus.NO_ADDRESS)
        except DialogClosed:
            logger.warning("dialog %s was closed before anybody could be told of it: no address is set", dialog.pk)

"""What each recipient is told about a left message now (M1, M2). Reads rows, writes none."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dialogs.models import Delivery, DeliveryStatus, Dialog, DialogEvent, EventKind, Message, MessageKind
from notifications.models import LetterKind, OutgoingEmail
from notifications.outgoing.compose import MOST_MESSAGES, Letter, News, compose, contacts_of
from notifications.outgoing.mime import mail_domain
from operators.validators import addresses

TRY_FOR = timedelta(hours=24)  # M3, fixed
LONGEST_THREAD = 8  # Message-IDs in References: the first letter and the latest ones
TOLD_KINDS = (EventKind.STARTED, EventKind.VISITOR_WROTE, EventKind.CONTACTS_LEFT, EventKind.PICKED_UP)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why somebody is to be told something about a dialog, and what everybody knows already."""

    dialog: Dialog
    events: Sequence[DialogEvent]  # of TOLD_KINDS, in order; about them no letter was considered before
    last_revision: int  # up to which the letters tell
    latest: Mapping[str, OutgoingEmail]  # recipient: the last letter to them
    now: datetime


@dataclass(slots=True)
class Plan:
    """What an occasion comes to: rows that are not saved yet."""

    letters: list[OutgoingEmail] = field(default_factory=list)
    lines: list[Delivery] = field(default_factory=list)  # of the ledger
    reaches_nobody: bool = False  # no address is set


def plan(occasion: Occasion, language: str) -> Plan:
    """The letters of an occasion, in the given language, with their lines of the ledger; without news it comes to nothing."""
    found = Plan()
    if not occasion.events:
        return found
    recipients = recipients_of(occasion.dialog)
    if not recipients:
        found.reaches_nobody = True
        if any(event.kind == EventKind.STARTED for event in occasion.events):
            found.lines.append(_line(occasion, "no-address", "", DeliveryStatus.NO_ADDRESS))
        return found
    rendered: dict[tuple[object, ...], Letter] = {}
    for recipient in recipients:
        before = occasion.latest.get(recipient)
        news = _news_for(occasion, before)
        if news is None:
            continue
        subject = f"Re: {before.subject.removeprefix('Re: ')}" if before else ""
        # recipients to whom the same is new get the same words
        same = (news.kind, subject, news.left_out, tuple(m.pk for m in news.messages), tuple(news.contacts.items()))
        if same not in rendered:
            rendered[same] = compose(occasion.dialog, news, language=language, subject=subject)
        email = _email(occasion, recipient, news, rendered[same])
        found.letters.append(email)
        found.lines.append(_line(occasion, email.dedupe_key, recipient, DeliveryStatus.QUEUED))
    return found


def recipients_of(dialog: Dialog) -> list[str]:
    """M1: the department's own addresses, else the account's; from settings only (M4)."""
    own = addresses(dialog.department.left_messages_email) if dialog.department else []
    return own or addresses(dialog.account.left_messages_email)


def _email(occasion: Occasion, recipient: str, news: News, letter: Letter) -> OutgoingEmail:
    dialog, before = occasion.dialog, occasion.latest.get(recipient)
    return OutgoingEmail(
        account_id=dialog.account_id,
        dialog=dialog,
        kind=news.kind,
        dedupe_key=_dedupe_key(dialog, news.kind, occasion.last_revision, recipient),
        recipient=recipient,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        message_id=f"<{uuid.uuid4().hex}@{mail_domain()}>",
        thread=_thread(before),
        told_revision=max([m.revision for m in news.messages], default=before.told_revision if before else 0),
        told_contacts=contacts_of(dialog),
        tells_pick_up=bool(news.who),
        created_at=occasion.now,
        next_try_at=occasion.now,
        give_up_at=occasion.now + TRY_FOR,
    )


def _line(occasion: Occasion, key: str, recipient: str, status: DeliveryStatus) -> Delivery:
    now = occasion.now
    return Delivery(dialog=occasion.dialog, key=key, recipient=recipient[:254], status=status, queued_at=now, updated_at=now)


def _news_for(occasion: Occasion, before: OutgoingEmail | None) -> News | None:
    """What a recipient is told whose last letter was `before`; None when nothing is new to them (M2)."""
    dialog, events = occasion.dialog, occasion.events
    pick_up = next((event for event in events if event.kind == EventKind.PICKED_UP), None)
    is_picked_up = dialog.in_workspace and dialog.picked_up_at is not None
    if before is None:
        starts = any(event.kind == EventKind.STARTED for event in events)
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
    """The Message-IDs of the letters before this one, shortened in the middle."""
    if before is None:
        return []
    ids = [*before.thread, before.message_id]
    return ids if len(ids) <= LONGEST_THREAD else [ids[0], *ids[1 - LONGEST_THREAD :]]


def _dedupe_key(dialog: Dialog, kind: LetterKind, revision: int, recipient: str) -> str:
    """One first letter and one that tells the pick-up for each recipient; a follow-up for each point of the dialog."""
    point = f"-{revision}" if kind == LetterKind.FOLLOW_UP else ""
    return f"{dialog.pk}:{kind}{point}:{hashlib.sha256(recipient.encode()).hexdigest()[:16]}"

"""From the outbox to the mail server, and what came of it (M3, M7).

A letter is claimed and the claim committed, then sent outside of any transaction, then its outcome is recorded. A claim
has a lease: it ends with the letter's outcome, or at `next_try_at` when the process that held it died. That a letter was
accepted is committed at once, in one statement; its attempt and its ledger line follow with those of its batch.
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError, connection, transaction

from dialogs.actions.conversation import bring_into_workspace
from dialogs.actions.errors import DialogClosed
from dialogs.actions.ledger import record_deliveries
from dialogs.actions.pulse import beat
from dialogs.locks import lock_dialog
from dialogs.models import Delivery, DeliveryStatus, Dialog, Pulse
from notifications.models import UNDELIVERED, DeliveryAttempt, EmailStatus, Outcome, OutgoingEmail
from notifications.outgoing.letters import TRY_FOR
from notifications.outgoing.mime import as_bytes, envelope_sender, mail_domain, on_the_wire
from notifications.outgoing.smtp import LONGEST_LETTER, MailConnection, Reply, Unreachable, Verdict
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.due_work import any_past
from webim_offline.foundation.database.locks import lock_keys

logger = logging.getLogger(__name__)
BATCH = 50
LEASE = timedelta(seconds=LONGEST_LETTER + 15)
LEDGER_EVERY = 1.0  # seconds
RENEW_AFTER = 5.0  # seconds after which the claims of a batch are renewed before its next letter
LONGEST_RUN = 30.0  # seconds; a next run comes each second anyway
SHORTEST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
MOST_LOST_ANSWERS = 3  # the first try and two further ones (M3)

LEDGER = {
    EmailStatus.WAITING: DeliveryStatus.QUEUED,
    EmailStatus.SENT: DeliveryStatus.ACCEPTED,
    EmailStatus.REFUSED: DeliveryStatus.REFUSED,
    EmailStatus.GIVEN_UP: DeliveryStatus.GIVEN_UP,
    EmailStatus.UNKNOWN: DeliveryStatus.UNKNOWN,
    EmailStatus.KEPT: DeliveryStatus.NO_SERVER,
}
CAN_TRY_AGAIN = (EmailStatus.WAITING, *UNDELIVERED)
LONGEST_REASON = 200  # of a mail server's words, in the sentence that says why a dialog came into the workspace
WORKER_LOST = "the worker ended while it sent this letter"


def pause_before_next_try(now: datetime, give_up_at: datetime) -> timedelta:
    """As long as the letter has been tried already: the pauses double, from 5 s up to an hour (M3)."""
    tried_for = now - (give_up_at - TRY_FOR)
    return min(max(tried_for, SHORTEST_PAUSE), LONGEST_PAUSE)


@dataclass(slots=True)
class Claim:
    """Letters that this run alone may send, until their lease ends at `next_try_at`; and the database's clock (Z1)."""

    letters: list[OutgoingEmail]
    claimed_at: datetime
    accepted: list[tuple[OutgoingEmail, datetime, str]] = field(default_factory=list)  # not yet in the ledger
    id: uuid.UUID | None = field(default_factory=uuid.uuid4)
    _began: float = field(default_factory=time.monotonic)
    _renewed: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """The database's present moment, reckoned from the moment of the claim without asking it again."""
        return self.claimed_at + timedelta(seconds=time.monotonic() - self._began)

    def renew(self, letters: Sequence[OutgoingEmail]) -> None:
        """When the batch takes long: keep what is still to be sent for one lease more, and show that the worker is alive."""
        if time.monotonic() - self._renewed < RENEW_AFTER:
            return
        self._renewed = time.monotonic()
        beat(Pulse.MAIL)
        mine = OutgoingEmail.objects.filter(pk__in=[letter.pk for letter in letters], claim=self.id)
        with transaction.atomic():
            OutgoingEmail.objects.filter(pk__in=lock_keys(mine)).update(next_try_at=self.now() + LEASE)


def any_due() -> str:
    """Whether a letter is due to be sent, or the claim of a run that died to be taken back (`DueWork`)."""
    return any_past(OutgoingEmail._meta.db_table, "next_try_at")


def send_due_letters() -> int:
    """Send what is due, over one reused connection; returns how many letters were accepted."""
    beat(Pulse.MAIL)
    if not _is_due(database_now()):
        return 0
    if settings.MAIL_SERVER is None:
        while keep_letters() == BATCH:
            pass
        return 0
    accepted, ends = 0, time.monotonic() + LONGEST_RUN
    while time.monotonic() < ends and _is_due(database_now()):
        try:
            # before the claim: a server that is slow to greet must not eat up the lease
            with MailConnection(settings.MAIL_SERVER, mail_domain()) as server:
                while server.is_open and time.monotonic() < ends and (claim := claim_letters()).letters:
                    accepted += _send(claim, server)
                beat(Pulse.MAIL)
                if server.is_open:
                    break
        except Unreachable as trouble:
            claim = claim_letters()
            for letter in claim.letters:
                record_outcome(letter, claim, Reply(Verdict.PUT_OFF, str(trouble)))
            break
    return accepted


def _is_due(now: datetime) -> bool:
    return OutgoingEmail.objects.filter(next_try_at__lte=now).exists()


def _send(claim: Claim, server: MailConnection) -> int:
    """Send a claimed batch and tell the ledgers; returns how many letters were accepted."""
    try:
        return _send_batch(claim, server)
    finally:
        write_ledger(claim)


def _send_batch(claim: Claim, server: MailConnection) -> int:
    """Send a claimed batch in the order it was written; what a broken connection leaves over is given back."""
    sender = envelope_sender()
    accepted, written_at = 0, time.monotonic()
    for place, letter in enumerate(claim.letters):
        claim.renew(claim.letters[place:])
        if time.monotonic() - written_at > LEDGER_EVERY:
            write_ledger(claim)
            written_at = time.monotonic()
        was_used = server.delivered > 0
        try:
            reply = server.deliver(sender, on_the_wire(letter.recipient), as_bytes(letter))
        except (ValueError, UnicodeError) as error:
            logger.error("letter %s cannot be written as a mail (%s)", letter.pk, type(error).__name__)
            reply = Reply(Verdict.REFUSED, f"not a mail: {error}")
        if reply.verdict == Verdict.PUT_OFF and was_used and not server.is_open:
            # a server may end a conversation after some letters: not this letter's trouble
            give_back(claim.letters[place:], claim)
            return accepted
        _record_with_retries(letter, record_accepted if reply.verdict == Verdict.ACCEPTED else record_outcome, letter, claim, reply)
        accepted += reply.verdict == Verdict.ACCEPTED
        if not server.is_open:
            give_back(claim.letters[place + 1 :], claim)
            return accepted
    return accepted


def _record_with_retries(letter: OutgoingEmail, record: Callable[..., None], *arguments: object) -> None:
    """Call `record(*arguments)`, and again after a pause when the database is away for a moment.

    An outcome that is not written down is a letter that will be sent a second time. Raises OperationalError after six tries.
    """
    for pause in (0.5, 1, 2, 4, 8):
        try:
            record(*arguments)
        except OperationalError as trouble:
            logger.warning("letter %s was sent, but its outcome could not be recorded yet: %s", letter.pk, trouble)
            connection.close()
            time.sleep(pause)
        else:
            return
    record(*arguments)


def claim_letters() -> Claim:
    """Take at most BATCH due letters; no other run gets them before their lease ends."""
    _end_lost_claims(database_now())
    return _claim()


@transaction.atomic
def _claim() -> Claim:
    now = database_now()
    rows = list(
        OutgoingEmail.objects.select_related("account")
        .filter(status=EmailStatus.WAITING, next_try_at__lte=now)
        .select_for_update(skip_locked=True, no_key=True, of=("self",))
        .order_by("next_try_at", "pk")[:BATCH]
    )
    claim = Claim(sorted(rows, key=lambda letter: letter.pk), now)
    if rows:
        OutgoingEmail.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=EmailStatus.SENDING, claim=claim.id, next_try_at=now + LEASE
        )
    return claim


@transaction.atomic
def _end_lost_claims(now: datetime) -> None:
    """Take back the claims of a run that died. A transaction of its own: it locks dialogs, as what follows it may.

    A batch is sent in the order of its keys and each outcome is recorded at once, so the first letter left over is the
    only one the server may have accepted: it counts as a lost answer. The others were never begun.
    """
    left = list(
        OutgoingEmail.objects.filter(status__in=(EmailStatus.SENDING, EmailStatus.SENT), next_try_at__lte=now)
        .select_for_update(skip_locked=True, no_key=True)
        .order_by("pk")
    )
    if not left:
        return
    # all of them in one order, before their ledgers are written in two turns
    dialogs = Dialog.objects.filter(pk__in=[letter.dialog_id for letter in left]).order_by("pk")
    list(dialogs.select_for_update(no_key=True).values_list("pk"))
    sent = [(letter, letter.sent_at or now, "") for letter in left if letter.status == EmailStatus.SENT]
    write_ledger(Claim([], now, sent))
    unsent = [letter for letter in left if letter.status == EmailStatus.SENDING]
    begun: dict[uuid.UUID | None, OutgoingEmail] = {}
    for letter in unsent:
        begun.setdefault(letter.claim, letter)
    for letter in sorted(begun.values(), key=lambda letter: letter.dialog_id):
        record_outcome(letter, Claim([letter], now, id=letter.claim), Reply(Verdict.LOST, WORKER_LOST), pause=timedelta(0))
    give_back([letter for letter in unsent if begun[letter.claim] is not letter], None)


def give_back(letters: Iterable[OutgoingEmail], claim: Claim | None) -> None:
    """Claimed letters that were not begun are due again at once."""
    rows = OutgoingEmail.objects.filter(pk__in=[letter.pk for letter in letters], status=EmailStatus.SENDING)
    if claim is not None:
        rows = rows.filter(claim=claim.id)
    with transaction.atomic():
        locked = lock_keys(rows)
        OutgoingEmail.objects.filter(pk__in=locked).update(status=EmailStatus.WAITING, claim=None, next_try_at=database_now())


def record_accepted(letter: OutgoingEmail, claim: Claim, reply: Reply) -> None:
    """Commit that the server has the letter, whoever holds it now; until `write_ledger`, its lease stays to be found by."""
    now = claim.now()
    OutgoingEmail.objects.filter(pk=letter.pk).exclude(status=EmailStatus.SENT).update(
        status=EmailStatus.SENT, sent_at=now, attempts=letter.attempts + 1, last_error=""
    )
    claim.accepted.append((letter, now, reply.detail))


@transaction.atomic
def write_ledger(claim: Claim) -> None:
    """Note the attempts of accepted letters and tell their dialogs' ledgers."""
    if not claim.accepted:
        return
    sent = OutgoingEmail.objects.filter(pk__in=[letter.pk for letter, _at, _said in claim.accepted], status=EmailStatus.SENT)
    OutgoingEmail.objects.filter(pk__in=lock_keys(sent)).update(claim=None, next_try_at=None)
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(email=letter, at=at, outcome=Outcome.ACCEPTED, detail=said) for letter, at, said in claim.accepted
    )
    record_deliveries([_ledger_line(letter, EmailStatus.SENT, said, at) for letter, at, said in claim.accepted])
    claim.accepted = []


@transaction.atomic
def record_outcome(letter: OutgoingEmail, claim: Claim, reply: Reply, *, pause: timedelta | None = None) -> None:
    """Note a try that was not accepted: the letter, the attempt and the ledger line; then M7 where nobody was reached."""
    now = claim.now()
    status, lost = _status_after(letter, reply, now)
    next_try_at = None
    if status == EmailStatus.WAITING:
        next_try_at = min(now + (pause_before_next_try(now, letter.give_up_at) if pause is None else pause), letter.give_up_at)
    written = OutgoingEmail.objects.filter(pk=letter.pk, status=EmailStatus.SENDING, claim=claim.id).update(
        status=status,
        next_try_at=next_try_at,
        claim=None,
        attempts=letter.attempts + 1,
        lost_answers=lost,
        last_error=reply.detail,
    )
    if not written:
        logger.warning("letter %s: its claim had ended before its outcome was known (%s)", letter.pk, reply.verdict)
        return
    DeliveryAttempt.objects.create(email=letter, at=now, outcome=Outcome(reply.verdict.value), detail=reply.detail)
    record_deliveries([_ledger_line(letter, status, reply.detail, now)])
    if status in UNDELIVERED:
        logger.error("letter %s ended as %s: the admin shows the server's words", letter.pk, status)
        _fall_back(letter, status, reply.detail)


def _status_after(letter: OutgoingEmail, reply: Reply, now: datetime) -> tuple[EmailStatus, int]:
    """The status that a verdict other than acceptance leads to, and how many answers were lost by then (M3)."""
    lost = letter.lost_answers + (reply.verdict == Verdict.LOST)
    if lost >= MOST_LOST_ANSWERS:
        return EmailStatus.UNKNOWN, lost
    if reply.verdict == Verdict.REFUSED:
        # an earlier try may have been accepted: then nobody can say that it was refused
        return (EmailStatus.UNKNOWN if lost else EmailStatus.REFUSED), lost
    if now >= letter.give_up_at:
        return (EmailStatus.UNKNOWN if lost else EmailStatus.GIVEN_UP), lost
    return EmailStatus.WAITING, lost


def _ledger_line(letter: OutgoingEmail, status: str, detail: str, now: datetime) -> Delivery:
    return Delivery(
        dialog_id=letter.dialog_id,
        key=letter.dedupe_key,
        recipient=letter.recipient[:254],
        status=LEDGER[EmailStatus(status)],
        detail=detail,
        queued_at=letter.created_at,
        updated_at=now,
    )


def _fall_back(letter: OutgoingEmail, status: str, detail: str) -> None:
    """M7: an email-only dialog whose letter reached none of its recipients comes into the workspace."""
    if not letter.dialog.email_only:
        return
    # the lock puts the ends of two recipients' letters in a row: the second one sees the first
    dialog = lock_dialog(letter.dialog_id)
    if dialog.in_workspace:
        return
    siblings = OutgoingEmail.objects.filter(dialog=dialog, created_at=letter.created_at)
    if siblings.exclude(status__in=UNDELIVERED).exists():
        return
    with suppress(DialogClosed):  # a closed one stays findable; it enters no section
        bring_into_workspace(dialog.pk, actor=None, undelivered=LEDGER[EmailStatus(status)], detail=detail[:LONGEST_REASON])


def keep_letters() -> int:
    """Without a mail server letters stay here, readable, and say so; returns how many were looked at."""
    _end_lost_claims(database_now())
    return _keep()


@transaction.atomic
def _keep() -> int:
    now = database_now()
    letters = list(
        OutgoingEmail.objects.select_related("dialog")
        .filter(next_try_at__lte=now, status__in=(EmailStatus.WAITING, EmailStatus.SENDING))
        .select_for_update(skip_locked=True, no_key=True, of=("self",))
        .order_by("pk")[:BATCH]
    )
    OutgoingEmail.objects.filter(pk__in=[letter.pk for letter in letters]).update(
        status=EmailStatus.KEPT, next_try_at=None, claim=None
    )
    record_deliveries([_ledger_line(letter, EmailStatus.KEPT, "", now) for letter in letters])
    for letter in sorted(letters, key=lambda letter: letter.dialog_id):
        _fall_back(letter, EmailStatus.KEPT, "")
    return len(letters)


@transaction.atomic
def try_again(email_ids: Collection[int]) -> int:
    """Send these letters again now, for another 24 h, by a person's wish; returns how many that were.

    Accepted letters and those being sent at this moment are left alone.
    """
    letters = list(
        OutgoingEmail.objects.filter(pk__in=email_ids, status__in=CAN_TRY_AGAIN).select_for_update(no_key=True).order_by("pk")
    )
    now = database_now()
    for letter in letters:
        letter.next_try_at, letter.give_up_at = now, now + TRY_FOR
        if letter.status == EmailStatus.UNKNOWN:
            letter.lost_answers = MOST_LOST_ANSWERS - 1  # one more lost answer, and it is unknown again
        letter.status = EmailStatus.WAITING
    OutgoingEmail.objects.bulk_update(letters, ["status", "next_try_at", "give_up_at", "lost_answers"])
    record_deliveries([_ledger_line(letter, EmailStatus.WAITING, "", now) for letter in letters])
    return len(letters)

"""The consumer of the duties to write letters about left messages (M1, M2): each exactly once, whatever runs twice or dies.

A run locks dialogs and then their duties, plans the letters of each dialog, and writes letters, ledger and the end of the duties
in one transaction. What a run that was killed had locked is due again at once.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Max

from dialogs.actions.conversation import bring_into_workspace
from dialogs.actions.duties import LETTER_WINDOW, any_duty_due, done, due_dialog_ids, lock_due, put_off
from dialogs.actions.errors import DialogClosed
from dialogs.actions.ledger import record_deliveries
from dialogs.models import Delivery, DeliveryStatus, Dialog, DialogEvent, Duty, EventKind, Purpose
from notifications.models import OutgoingEmail
from notifications.outgoing.compose import letter_language
from notifications.outgoing.letters import TOLD_KINDS, Occasion, Plan, plan
from operators.models import Language
from webim_offline.foundation.database.clock import database_now

logger = logging.getLogger(__name__)
BATCH = 50  # dialogs a transaction
PUT_OFF_FOR = timedelta(minutes=1)  # until a dialog whose letter could not be written is tried again


def any_due() -> str:
    """Whether letters are due to be written (`DueWork`)."""
    return any_duty_due(Purpose.LEFT_MESSAGE_LETTERS)


def write_due_letters() -> int:
    """Write the letters that are due; returns how many dialogs were looked at. Reads only, when nothing is due."""
    dialog_ids = due_dialog_ids(Purpose.LEFT_MESSAGE_LETTERS, database_now(), BATCH)
    if not dialog_ids:
        return 0
    with transaction.atomic():
        return _write_letters(dialog_ids)


def _write_letters(dialog_ids: Sequence[int]) -> int:
    # a dialog's lock is held by whoever adds to it, so its events and messages stand still under ours
    free = Dialog.objects.filter(pk__in=dialog_ids).select_for_update(skip_locked=True, no_key=True).order_by("pk")
    locked = list(free.values_list("pk", flat=True))
    now = database_now()
    duties = {duty.dialog_id: duty for duty in lock_due(Purpose.LEFT_MESSAGE_LETTERS, now, locked)}
    # read only now: what is joined to a row while it is being locked may be older than the row (decision 0004)
    related = ("account", "department", "language", "visitor", "operator")
    dialogs = list(Dialog.objects.select_related(*related).filter(pk__in=duties).order_by("pk"))
    if not dialogs:
        return 0
    events = _events_of(duties.values())
    latest = _latest_letters(duties)
    first_languages = _first_languages({dialog.account_id for dialog in dialogs})
    letters: list[OutgoingEmail] = []
    lines: list[Delivery] = []
    finished: list[Duty] = []
    later: dict[Duty, datetime] = {}
    for dialog in dialogs:
        duty = duties[dialog.pk]
        occasion = Occasion(dialog, events.get(dialog.pk, []), duty.last_revision, latest.get(dialog.pk, {}), now)
        if (window_ends := _window_end(occasion)) > now:
            later[duty] = window_ends
            continue
        planned = _plan_of(occasion, letter_language(first_languages.get(dialog.account_id, "")))
        if planned is None:
            later[duty] = now + PUT_OFF_FOR
            continue
        letters += planned.letters
        lines += planned.lines
        finished.append(duty)
    OutgoingEmail.objects.bulk_create(letters)
    record_deliveries(lines)
    done(finished)
    put_off(later)
    return len(dialogs)


def _window_end(occasion: Occasion) -> datetime:
    """M2: what comes within the window travels together; a pick-up is told at once, but only where a letter went out before."""
    is_pick_up = any(event.kind == EventKind.PICKED_UP for event in occasion.events)
    if not occasion.events or (is_pick_up and occasion.latest):
        return occasion.now
    return min(event.at for event in occasion.events) + LETTER_WINDOW


def _plan_of(occasion: Occasion, language: str) -> Plan | None:
    """The letters of one dialog, and M7's fallback where they reach nobody. None: it failed, which must not hold up the others."""
    try:
        with transaction.atomic():
            planned = plan(occasion, language)
            if planned.reaches_nobody and not occasion.dialog.in_workspace:
                _bring_into_workspace(occasion.dialog)
    except Exception:
        logger.exception("dialog %s: its letter could not be written, trying again in a minute", occasion.dialog.pk)
        return None
    return planned


def _bring_into_workspace(dialog: Dialog) -> None:
    """The settings forbid it, but the last address may have gone between the message and now: nothing is lost (M7)."""
    try:
        bring_into_workspace(dialog.pk, actor=None, undelivered=DeliveryStatus.NO_ADDRESS)
    except DialogClosed:
        logger.warning("dialog %s was closed before anybody could be told of it: no address is set", dialog.pk)


def _events_of(duties: Iterable[Duty]) -> dict[int, list[DialogEvent]]:
    """The events that locked duties are about and that letters tell, by dialog, in order."""
    rows = (
        DialogEvent.objects.select_related("actor")
        .filter(
            dialog__duties__in=list(duties),
            revision__gte=F("dialog__duties__first_revision"),
            revision__lte=F("dialog__duties__last_revision"),
            kind__in=TOLD_KINDS,
        )
        .order_by("revision", "pk")
    )
    found: dict[int, list[DialogEvent]] = {}
    for event in rows:
        found.setdefault(event.dialog_id, []).append(event)
    return found


def _latest_letters(dialog_ids: Collection[int]) -> Mapping[int, Mapping[str, OutgoingEmail]]:
    """The last letter to each recipient of each dialog: what that person knows already."""
    last = OutgoingEmail.objects.filter(dialog__in=dialog_ids).order_by().values("dialog", "recipient").annotate(last=Max("pk"))
    rows = OutgoingEmail.objects.filter(pk__in=last.values("last")).defer("text", "html")
    found: dict[int, dict[str, OutgoingEmail]] = {}
    for letter in rows:
        found.setdefault(letter.dialog_id, {})[letter.recipient] = letter
    return found


def _first_languages(account_ids: Iterable[int]) -> dict[int, str]:
    """The code of each account's first language, as its settings order them."""
    rows = Language.objects.filter(account__in=account_ids, archived_at=None).order_by("-position", "-pk")
    return dict(rows.values_list("account_id", "code"))

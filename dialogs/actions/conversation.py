"""Visitors write, operators answer, either side closes (S1, S2, M5, M10, Q9, B1)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection
from django.db.models import Subquery

from dialogs import state, system_messages
from dialogs.actions import holding
from dialogs.actions.assigner import assign_soon
from dialogs.actions.assignment import assign_soon_in, lock_dialog, lock_open_dialog, record_of_open, warnings_of_taking
from dialogs.actions.deadlines import catch_up, close_overdue
from dialogs.actions.errors import AlreadyTaken, ContactsMissing, DialogClosed, NeedsConfirmation, NotYours
from dialogs.actions.presence import Arrival, page_wrote
from dialogs.actions.record import Record, moved_to, visitor_channel
from dialogs.actions.timeouts import timeouts_of
from dialogs.actions.visitors import Contacts, lock_newcomer, lock_visitor
from dialogs.models import (
    LONGEST_PREVIEW,
    OPEN_STATES,
    REOPENABLE_STATES,
    Dialog,
    EventKind,
    Message,
    MessageKind,
    StartState,
    State,
    Visitor,
)
from operators.actions import acted, lock_account_shared
from operators.availability import Candidate, anyone_online, candidates, is_online_now, judged_at
from operators.models import Account, Department, Language, Operator, Requirement
from webim_offline.database_clock import DatabaseNow, database_now
from webim_offline.transactions import atomic


@dataclass(frozen=True, slots=True)
class Submission:
    """One message of a visitor, as a client submits it (B1).

    `key` is made by the client and makes the submission happen once. `from_form` tells that the visitor had the offline
    form before their eyes: only then missing contacts refuse it (W3); `required_own` are the account's own required labels.
    `from_app`: it comes from the account's mobile app (P7).
    """

    text: str
    key: str
    department: str = ""
    language: str = ""
    contacts: Contacts = field(default_factory=Contacts)
    from_form: bool = False
    required_own: tuple[str, ...] = ()
    visit_key: str = ""
    page_url: str = ""
    page_title: str = ""
    from_app: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What a submission became. `asks_contacts`: it started offline from a window that had not asked for them."""

    dialog: Dialog
    is_new: bool
    revision: int
    asks_contacts: bool = False
    repeated: bool = False


def visitor_writes(account_id: int, visitor_id: int, submission: Submission, *, newcomer: Visitor | None = None) -> Written:
    """Accept a visitor's message: it joins the open dialog or starts one (Q9, M10). At most 10 statements for a start.

    `newcomer` is the visitor as `visitors.recognise` returned them, if they had no row then: it is made with the message.
    Raises ContactsMissing, and Visitor.DoesNotExist for a visitor of another account or one who was forgotten meanwhile. A
    key that was accepted before changes nothing and returns what it became.
    """
    try:
        return _write(account_id, visitor_id, submission, newcomer)
    except (IntegrityError, ContactsMissing):
        # a repetition of what was accepted, perhaps of a form that would be refused by now
        earlier = Message.objects.select_related("dialog").filter(visitor=visitor_id, client_key=submission.key).first()
        if earlier is None:
            raise
        return Written(earlier.dialog, is_new=False, revision=earlier.revision, repeated=True)


@atomic
def _write(account_id: int, visitor_id: int, submission: Submission, newcomer: Visitor | None) -> Written:
    account = lock_account_shared(account_id)
    if newcomer is None:
        visitor = lock_visitor(visitor_id, submission.contacts)
    else:
        visitor = lock_newcomer(newcomer, submission.contacts, is_present=bool(submission.visit_key))
    if visitor.account_id != account_id:
        raise Visitor.DoesNotExist
    states = (*OPEN_STATES, *REOPENABLE_STATES)
    living = list(Dialog.objects.filter(visitor=visitor, state__in=states).select_for_update(no_key=True).order_by("pk"))
    close_overdue(living)
    open_dialogs = [dialog for dialog in living if dialog.is_open]
    current = next((dialog for dialog in open_dialogs if not dialog.email_only), None)
    waiting_by_mail = next((dialog for dialog in open_dialogs if dialog.email_only), None)
    if current is None and (waiting_by_mail is None or not waiting_by_mail.in_workspace):
        closed = [dialog for dialog in living if dialog.is_reopenable]
        if closed:
            last = max(closed, key=lambda dialog: (dialog.closed_at, dialog.pk))
            return _reopen(account, visitor, last, submission, open_dialogs)
    if current is None and waiting_by_mail is None:
        return _start(account, visitor, submission, open_dialogs, continues=None)
    if current is None and waiting_by_mail is not None and not waiting_by_mail.in_workspace:
        place = _place(account, submission)
        if _service_is_online(account, place):
            return _start(account, visitor, submission, open_dialogs, continues=waiting_by_mail, place=place)
    return _join(account, visitor, current or waiting_by_mail, submission, open_dialogs)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dialog starts: department and language that exist (A5), who could answer there, and the moment of asking.

    Leases of workspaces are judged by `judged_at`: that moment, or an earlier one in an outage (P9).
    """

    department: Department | None
    language: Language
    candidates: list[Candidate]
    in_all: int
    now: datetime
    judged_at: datetime


def _place(account: Account, submission: Submission) -> Place:
    # one query for language, department and the moment: a start has ten statements in all
    department = Department.objects.filter(account=account, slug=submission.department, archived_at=None)
    languages = list(
        Language.objects.filter(account=account, archived_at=None).annotate(
            department_pk=Subquery(department.values("pk")[:1]),
            department_name=Subquery(department.values("name")[:1]),
            now=DatabaseNow(),
        )
    )
    if not languages:
        raise Language.DoesNotExist(f"account {account.slug} has no language")
    language = next((row for row in languages if row.code == submission.language), languages[0])
    found_department = None
    if language.department_pk is not None:
        found_department = Department(pk=language.department_pk, account=account, name=language.department_name)
    found, in_all, heard_at = candidates(account, found_department, language)
    return Place(found_department, language, found, in_all, language.now, judged_at(language.now, heard_at))


def _service_is_online(account: Account, place: Place) -> bool:
    return anyone_online(place.candidates, lease=account.operator_lease, now=place.judged_at)


def _start(
    account: Account,
    visitor: Visitor,
    submission: Submission,
    open_dialogs: list[Dialog],
    *,
    continues: Dialog | None,
    place: Place | None = None,
) -> Written:
    place = place or _place(account, submission)
    now = place.now
    online = _service_is_online(account, place)
    email_only = not online and mail_only_now(account)
    missing = [] if online else missing_contacts(account, submission, _known(visitor))
    if missing and submission.from_form:
        raise ContactsMissing(missing)

    record = Record(now)
    back = _page_wrote(account, visitor, submission, record, open_dialogs)
    facts = state.start(
        visitor_present=visitor.is_present,
        always_online=submission.from_app and visitor.has_token,
        closes_at=now + state.EMAIL_ONLY_CLOSES_AFTER if email_only else None,
    )
    dialog = Dialog(
        account=account,
        visitor=visitor,
        department=place.department,
        language=place.language,
        continues=continues,
        start_state=StartState.ONLINE if online else StartState.OFFLINE,
        evidence=_evidence(account, place),
        email_only=email_only,
        in_workspace=not email_only,
        from_app=submission.from_app,
        created_at=now,
        waiting_since=now,
        last_message_at=now,
        last_text=_preview(submission.text),
        page_url=submission.page_url,
        page_title=submission.page_title,
    )
    dialog.settle(facts, state.NO_ABSENCE)
    data = moved_to(dialog) | ({"has_token": True} if facts.always_online else {})
    record.event(dialog, EventKind.STARTED, now, data=data)
    revision = record.message(dialog, MessageKind.VISITOR, submission.text, now, key=submission.key)
    dialog.number = _next_number(account)
    dialog.save(force_insert=True)
    record.write(back, Dialog.SETTLED)
    assign_soon_in(account)
    return Written(dialog, is_new=True, revision=revision, asks_contacts=bool(missing))


def _join(account: Account, visitor: Visitor, dialog: Dialog, submission: Submission, open_dialogs: list[Dialog]) -> Written:
    now = database_now()
    record = Record(now)
    back = _page_wrote(account, visitor, submission, record, open_dialogs)
    revision = record.message(dialog, MessageKind.VISITOR, submission.text, now, key=submission.key)
    record.event(dialog, EventKind.VISITOR_WROTE, now)
    dialog.waiting_since = dialog.waiting_since or now
    dialog.last_message_at, dialog.last_text, dialog.last_is_visitors = now, _preview(submission.text), True
    if dialog.closes_at is not None:
        closes_at = None if dialog.in_workspace else now + state.EMAIL_ONLY_CLOSES_AFTER  # Q11, M10
        facts = state.postponed(dialog.facts, closes_at)
        dialog.settle(facts, timeouts_of(account, facts.away_since, now))
    written = [dialog, *(returned for returned in back if returned.pk != dialog.pk)]
    record.write(written, ("waiting_since", "last_message_at", "last_text", "last_is_visitors", *Dialog.SETTLED))
    return Written(dialog, is_new=False, revision=revision)


def _reopen(account: Account, visitor: Visitor, dialog: Dialog, submission: Submission, open_dialogs: list[Dialog]) -> Written:
    """Q9: a message within `reopen_window` opens the dialog again, for whoever had it if they are online, else in its queue."""
    now = database_now()
    record = Record(now)
    back = _page_wrote(account, visitor, submission, record, open_dialogs)
    holder = dialog.operator
    is_there = holder is not None and is_online_now(account, holder, now)
    dialog.state, dialog.closed_at = State.CHATTING if is_there else State.QUEUE, None
    if not is_there:
        holding.release(dialog, record)
    facts = state.start(visitor_present=visitor.is_present, always_online=dialog.from_app and visitor.has_token)
    dialog.settle(facts, state.NO_ABSENCE)
    record.event(dialog, EventKind.REOPENED, now, data={"who": str(holder)} if is_there else moved_to(dialog))
    revision = record.message(dialog, MessageKind.VISITOR, submission.text, now, key=submission.key)
    dialog.waiting_since = dialog.last_message_at = now
    dialog.last_text, dialog.last_is_visitors = _preview(submission.text), True
    record.write(
        [dialog, *back],
        ("closed_at", "waiting_since", "last_message_at", "last_text", "last_is_visitors", *Dialog.HELD, *Dialog.SETTLED),
    )
    assign_soon_in(account)
    return Written(dialog, is_new=False, revision=revision)


def _page_wrote(
    account: Account, visitor: Visitor, submission: Submission, record: Record, open_dialogs: list[Dialog]
) -> list[Dialog]:
    if not submission.visit_key:
        return []
    arrival = Arrival(visitor.pk, account.pk, submission.visit_key, submission.page_url, submission.page_title)
    return page_wrote(arrival, visitor, record, lease=account.visit_lease, open_dialogs=open_dialogs)


def mail_only_now(account: Account) -> bool:
    """M5: does a left message that starts now stay out of the workspace?"""
    return not account.left_messages_in_workspace


def _known(visitor: Visitor) -> Contacts:
    return Contacts(visitor.name, visitor.email, visitor.phone, visitor.own_fields)


def missing_contacts(account: Account, submission: Submission, known: Contacts) -> list[str]:
    """Names of required contacts that are not known (W3); `email` too when M10 needs a way to answer and there is none."""
    missing = [
        name
        for name in ("name", "email", "phone")
        if getattr(account, f"contact_{name}") == Requirement.REQUIRED and not getattr(known, name)
    ]
    missing += [label for label in submission.required_own if not known.own.get(label)]
    if mail_only_now(account) and not (known.email or known.phone) and not {"email", "phone"} & set(missing):
        missing.append("email")
    return missing


def _evidence(account: Account, place: Place) -> dict[str, Any]:
    """S3: who could have answered, their status and last sign of life, and when that was asked."""
    return {
        "at": place.now.isoformat(),
        **({"judged_at": place.judged_at.isoformat()} if place.judged_at != place.now else {}),
        "department": place.department.name if place.department else None,
        "language": place.language.code,
        "lease": account.operator_lease,
        "in_all": place.in_all,
        "candidates": [
            {
                "id": candidate.operator_id,
                "name": candidate.name,
                "status": candidate.status,
                "seen": candidate.last_seen_at.isoformat() if candidate.last_seen_at else None,
            }
            for candidate in place.candidates
        ],
    }


def _preview(text: str) -> str:
    return " ".join(text.split())[:LONGEST_PREVIEW]


def _next_number(account: Account) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dialogs_numbering (account_id, last_number) VALUES (%s, 1)"
            " ON CONFLICT (account_id) DO UPDATE SET last_number = dialogs_numbering.last_number + 1 RETURNING last_number",
            [account.pk],
        )
        return cursor.fetchone()[0]


@atomic
def leave_contacts(visitor_id: int, contacts: Contacts) -> None:
    """Keep contacts that were asked for in the chat (W3), and note them on the visitor's open dialogs."""
    visitor = lock_visitor(visitor_id, contacts)
    dialogs = list(Dialog.objects.filter(visitor=visitor, state__in=OPEN_STATES).select_for_update(no_key=True).order_by("pk"))
    record = Record(database_now())
    told = [name for name in ("name", "email", "phone", "own") if getattr(contacts, name)]
    for dialog in dialogs:
        record.event(dialog, EventKind.CONTACTS_LEFT, record.now, data={"fields": told})
    record.channels.add(visitor_channel(visitor_id))
    record.write(dialogs)


@atomic
def answer(dialog_id: int, operator: Operator, text: str, *, key: str, confirmed: bool = False) -> Dialog:
    """Send an operator's answer. To a dialog nobody has, answering is picking it up (behaviour.md, "Words").

    Raises DialogClosed, AlreadyTaken, NeedsConfirmation (Q5). A key that was accepted before changes nothing.
    """
    account = lock_account_shared(operator.account_id)
    acted(operator)
    holding.lock_share(operator.pk)
    dialog = lock_dialog(dialog_id)
    if Message.objects.filter(author=operator, client_key=key).exists():
        return dialog
    record = record_of_open(dialog, account)
    if dialog.operator_id not in {None, operator.pk}:
        raise AlreadyTaken(str(dialog.operator))
    if is_begun := dialog.state == State.QUEUE:
        warnings = {} if dialog.operator_id else warnings_of_taking(account, operator, dialog)
        if warnings and not confirmed:
            raise NeedsConfirmation(list(warnings.values()))
        holding.pick_up(dialog, operator, record, data={"warned": list(warnings)} if warnings else None)
    now = record.now
    record.message(dialog, MessageKind.OPERATOR, text, now, author=operator, key=key)
    record.event(dialog, EventKind.OPERATOR_WROTE, now, actor=operator)
    dialog.waiting_since = None
    dialog.last_message_at, dialog.last_text, dialog.last_is_visitors = now, _preview(text), False
    if dialog.in_workspace:
        closes_at = now + timedelta(seconds=account.close_after) if account.close_after else None  # Q11
        facts = state.postponed(dialog.facts, closes_at)
        dialog.settle(facts, timeouts_of(account, facts.away_since, now))
    record.write(
        [dialog], ("waiting_since", "last_message_at", "last_text", "last_is_visitors", "closes_at", "wake_at", *Dialog.HELD)
    )
    if is_begun:
        assign_soon_in(account)  # the next of its queue may find somebody (Q7)
    return dialog


@atomic
def close_by_operator(dialog_id: int, operator: Operator) -> Dialog:
    """Close a dialog: its operator, or a supervisor (Q9). Raises DialogClosed, NotYours, AlreadyTaken."""
    account = lock_account_shared(operator.account_id)
    acted(operator)
    dialog, record = lock_open_dialog(dialog_id, account)
    if dialog.operator_id != operator.pk and not operator.is_supervisor:
        if dialog.operator is None:
            raise NotYours
        raise AlreadyTaken(str(dialog.operator))
    _close(account, dialog, State.CLOSED_BY_OPERATOR, EventKind.CLOSED_BY_OPERATOR, record, actor=operator)
    return dialog


@atomic
def close_by_visitor(visitor_id: int, number: int) -> Dialog:
    """The visitor ends the chat (W4). Raises Dialog.DoesNotExist for another's dialog, DialogClosed."""
    account_id, dialog_id = Dialog.objects.values_list("account_id", "pk").get(visitor=visitor_id, number=number)
    account = lock_account_shared(account_id)
    dialog, record = lock_open_dialog(dialog_id, account)
    _close(account, dialog, State.CLOSED_BY_VISITOR, EventKind.CLOSED_BY_VISITOR, record, actor=None)
    return dialog


def _close(account: Account, dialog: Dialog, closed: State, kind: EventKind, record: Record, *, actor: Operator | None) -> None:
    catch_up([dialog], record)
    if dialog.state == State.QUEUE:  # whoever it waited for has not begun with it
        holding.release(dialog, record)
    dialog.settle(state.closed(dialog.facts, record.now + timedelta(seconds=account.reopen_window)), state.NO_ABSENCE)
    dialog.state, dialog.closed_at = closed, record.now
    record.event(dialog, kind, record.now, actor=actor)
    record.channels.add(visitor_channel(dialog.visitor_id))
    record.write([dialog], ("closed_at", *Dialog.HELD, *Dialog.SETTLED))
    assign_soon_in(account)


@atomic
def bring_into_workspace(dialog_id: int, *, actor: Operator | None, undelivered: str = "", detail: str = "") -> Dialog:
    """M8: an email-only dialog enters the workspace, by an admin's hand or because its letter failed (M7).

    `undelivered` is what became of the letter (one of system_messages.UNDELIVERED), `detail` the mail server's words.
    Raises DialogClosed. A dialog that is there already is left alone.
    """
    dialog = lock_dialog(dialog_id)
    if dialog.in_workspace:
        return dialog
    if not dialog.is_open:
        raise DialogClosed
    now = database_now()
    record = Record(now)
    dialog.in_workspace = True
    facts = state.postponed(dialog.facts, None)  # M10's thirty days are over for it
    dialog.settle(facts, timeouts_of(dialog.account, facts.away_since, now))
    record.channels.add(visitor_channel(dialog.visitor_id))
    reason = {"undelivered": undelivered, "detail": detail} if undelivered else {}
    record.event(dialog, EventKind.ENTERED_WORKSPACE, now, actor=actor, data=reason | moved_to(dialog))
    if undelivered:
        record.system(dialog, system_messages.ENTERED_UNDELIVERED, now, reason)
    else:
        record.system(dialog, system_messages.ENTERED, now, {"who": "" if actor is None or actor.is_support else str(actor)})
    record.write([dialog], ("in_workspace", *Dialog.SETTLED))
    assign_soon([dialog.account_id])
    return dialog

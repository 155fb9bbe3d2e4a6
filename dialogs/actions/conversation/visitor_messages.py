"""Visitors write: a message joins a dialog, reopens one or starts one (S1, S2, M5, M10, Q9, B1)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db import IntegrityError

from dialogs import events
from dialogs.actions import holding
from dialogs.actions.assignment_by_hand import assign_soon_in
from dialogs.actions.closings import closings_to_follow
from dialogs.actions.conversation.contacts import contacts_of, mail_only_now, missing_contacts
from dialogs.actions.deadlines import close_overdue
from dialogs.actions.errors import ContactsMissing
from dialogs.actions.numbering import key_ahead
from dialogs.actions.presence import Arrival, page_wrote
from dialogs.actions.record import Record, queue_now
from dialogs.actions.timeouts import timeouts_in_force
from dialogs.actions.visitors import Contacts, locked_visitor, newcomer_lock, visitor_lock
from dialogs.models import Dialog, Message, MessageKind, StartState, State, Visitor
from dialogs.reading.service import Service, ServiceQuestion
from dialogs.reading.visitor_dialogs import as_stored, dialogs_of, lock_open_or_reopenable
from dialogs.rules import presence
from dialogs.rules.destination import Way, destination_of
from operators.availability import is_online_now
from operators.locks import shared_account_lock
from operators.models import Account
from webim_offline.foundation.database.clock import moment_of, now_statement
from webim_offline.foundation.database.dialect import Statement
from webim_offline.foundation.database.loading import instance_of, width_of
from webim_offline.foundation.database.statements import Rows, run_together
from webim_offline.foundation.database.transactions import atomic


@dataclass(frozen=True, slots=True)
class Submission:
    """One message of a visitor, as a client submits it (B1).

    `key` is made by the client and makes the submission happen once. `from_form` tells that the visitor had the offline
    form before their eyes: only then missing contacts refuse it (W3); `required_own` are the account's own required labels.
    `language` and then `languages` are tags in the order in which the visitor prefers them (A5).
    `from_app`: it comes from the account's mobile app (P7).
    """

    text: str
    key: str
    department: str = ""
    language: str = ""
    languages: tuple[str, ...] = ()
    contacts: Contacts = field(default_factory=Contacts)
    from_form: bool = False
    required_own: tuple[str, ...] = ()
    visit_key: str = ""
    page_url: str = ""
    page_title: str = ""
    from_app: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What a submission became. `asks_contacts`: it started offline from a window that had not asked for them.

    `visitor` is the visitor with what they have told by now, and `is_newest` says that the dialog is the newest one of theirs that
    is open; of a repeated submission neither is known.
    """

    dialog: Dialog
    is_new: bool
    revision: int
    asks_contacts: bool = False
    repeated: bool = False
    visitor: Visitor | None = None
    is_newest: bool = False


def visitor_writes(
    account_id: int, visitor_id: int, submission: Submission, *, newcomer: Visitor | None = None, likely_starts: bool = True
) -> Written:
    """Accept a visitor's message: it joins the open dialog or starts one (Q9, M10). Three messages to the database for a start.

    `newcomer` is the visitor as `visitors.recognise` returned them, if they had no row then: it is made with the message.
    `likely_starts`: whether the caller expects a start; if so, what a start needs is read together with the rest.

    Raises ContactsMissing, Account.DoesNotExist for an archived account, and Visitor.DoesNotExist for a visitor of another account
    or one who was forgotten meanwhile. A key that was accepted before changes nothing and returns what it became.
    """
    try:
        return _write(account_id, visitor_id, submission, newcomer, likely_starts)
    except (IntegrityError, ContactsMissing):
        # a repetition of what was accepted, perhaps of a form that would be refused by now
        earlier = Message.objects.select_related("dialog").filter(visitor=visitor_id, client_key=submission.key).first()
        if earlier is None:
            raise
        return Written(earlier.dialog, is_new=False, revision=earlier.revision, repeated=True)


@atomic
def _write(account_id: int, visitor_id: int, submission: Submission, newcomer: Visitor | None, likely_starts: bool) -> Written:
    question = ServiceQuestion.of(account_id, submission.department, (submission.language, *submission.languages))
    key = key_ahead() if likely_starts else []
    if newcomer is None:
        visitors_lock = visitor_lock(visitor_id, submission.contacts, also=key)
    else:
        visitors_lock = newcomer_lock(newcomer, submission.contacts, is_present=bool(submission.visit_key), also=key)
    # all of it is read under the account's lock, so a start state agrees with the history (S2)
    locks = (shared_account_lock(account_id), visitors_lock, lock_open_or_reopenable(visitor_id))
    reads = question.statements() if likely_starts else _of_dialogs(account_id)
    accounts, visitors, dialogs, *more = run_together(*locks, *reads)
    if not accounts or (account := instance_of(Account, accounts[0])).archived_at is not None:
        raise Account.DoesNotExist
    visitor = locked_visitor(visitors)
    if visitor.account_id != account_id:
        raise Visitor.DoesNotExist
    living = dialogs_of(dialogs)
    now = None
    if living:
        changes, moments = run_together(*_of_dialogs(account_id)) if likely_starts else more
        now = moment_of(moments[0][0])
        close_overdue(living, now, closings_to_follow.asked(account_id).found(changes))
    open_dialogs = [dialog for dialog in living if dialog.is_open]
    writing = _Writing(account, visitor, submission, open_dialogs, question)
    if likely_starts:
        writing.known_of_service = more
        writing.new_key = visitors[0][width_of(Visitor)] if key else None
    destination = destination_of([as_stored(dialog) for dialog in living], is_service_online=lambda: writing.service.is_online)
    dialog = next((dialog for dialog in living if dialog.pk == destination.dialog_id), None)
    if destination.way == Way.JOIN and dialog is not None and now is not None:
        return writing.join(dialog, now)
    if destination.way == Way.REOPEN and dialog is not None and now is not None:
        return writing.reopen(dialog, now)
    return writing.start(continues=dialog)


def _of_dialogs(account_id: int) -> tuple[Statement, Statement]:
    """The statements for what only those need who have dialogs: settings that close them, and the present moment."""
    return closings_to_follow.asked(account_id).statement(), now_statement()


class _Writing:
    """One message of a locked visitor, on its way into a dialog.

    `open_dialogs` are all of the visitor's, locked too. Of what only a start needs there may be known already: the rows of the
    question for the service, and the new dialog's key.
    """

    known_of_service: Sequence[Rows] = ()
    new_key: int | None = None

    def __init__(
        self, account: Account, visitor: Visitor, submission: Submission, open_dialogs: list[Dialog], question: ServiceQuestion
    ) -> None:
        self.account = account
        self.visitor = visitor
        self.submission = submission
        self.open_dialogs = open_dialogs
        self.question = question

    @cached_property
    def service(self) -> Service:
        """Who could answer, asked once and under the account's lock: a start state agrees with the history (S2)."""
        known, people = self.known_of_service or run_together(*self.question.statements())
        return self.question.answer(self.account, known, people)

    def start(self, *, continues: Dialog | None) -> Written:
        """S1, S2, M5: a new dialog. `continues`: the email-only one that it is linked to (M10). Raises ContactsMissing."""
        account, submission, now = self.account, self.submission, self.service.now
        online = self.service.is_online
        email_only = not online and mail_only_now(account)
        missing = [] if online else missing_contacts(account, contacts_of(self.visitor), submission.required_own)
        if missing and submission.from_form:
            raise ContactsMissing(missing)

        record = Record(now)
        returned = self._page_wrote(record)
        facts = presence.start(
            visitor_present=self.visitor.is_present,
            always_online=submission.from_app and self.visitor.has_token,
            closes_at=now + presence.EMAIL_ONLY_CLOSES_AFTER if email_only else None,
        )
        dialog = Dialog(
            pk=self.new_key,
            account=account,
            visitor=self.visitor,
            department=self.service.department,
            language=self.service.language,
            continues=continues,
            start_state=StartState.ONLINE if online else StartState.OFFLINE,
            evidence=self.service.evidence(),
            email_only=email_only,
            in_workspace=not email_only,
            from_app=submission.from_app,
            created_at=now,
            waiting_since=now,
            page_url=submission.page_url,
            page_title=submission.page_title,
        )
        dialog.set_last_message(submission.text, now, is_visitors=True)
        dialog.settle(facts, presence.NO_ABSENCE)
        record.event(dialog, events.Started(queue=queue_now(dialog), has_token=facts.always_online), now)
        revision = self._record_message(dialog, record)
        record.write(returned)
        assign_soon_in(account)
        return self._written(dialog, revision, is_new=True, asks_contacts=bool(missing))

    def join(self, dialog: Dialog, now: datetime) -> Written:
        """The message is added to an open dialog."""
        record = Record(now)
        returned = self._page_wrote(record)
        revision = self._record_message(dialog, record)
        record.event(dialog, events.VisitorWrote(), now)
        dialog.waiting_since = dialog.waiting_since or now
        dialog.set_last_message(self.submission.text, now, is_visitors=True)
        if dialog.closes_at is not None:
            closes_at = None if dialog.in_workspace else now + presence.EMAIL_ONLY_CLOSES_AFTER  # Q11, M10
            facts = presence.postponed(dialog.facts, closes_at)
            dialog.settle(facts, timeouts_in_force(self.account, facts.away_since, now))
        record.write(returned)
        return self._written(dialog, revision)

    def reopen(self, dialog: Dialog, now: datetime) -> Written:
        """Q9: a closed dialog opens again, for whoever had it if they are online, else in its queue; presence is read anew."""
        record = Record(now)
        returned = self._page_wrote(record)
        holder = dialog.operator
        is_there = holder is not None and is_online_now(self.account, holder, now)
        dialog.state, dialog.closed_at = State.CHATTING if is_there else State.QUEUE, None
        if not is_there:
            holding.release(dialog, record)
        always_online = dialog.from_app and self.visitor.has_token
        dialog.settle(presence.start(visitor_present=self.visitor.is_present, always_online=always_online), presence.NO_ABSENCE)
        record.event(dialog, events.Reopened(operator_name=str(holder) if is_there else None, queue=queue_now(dialog)), now)
        revision = self._record_message(dialog, record)
        dialog.waiting_since = now
        dialog.set_last_message(self.submission.text, now, is_visitors=True)
        record.write(returned)
        assign_soon_in(self.account)
        return self._written(dialog, revision)

    def _written(self, dialog: Dialog, revision: int, *, is_new: bool = False, asks_contacts: bool = False) -> Written:
        is_newest = all(dialog.pk >= other.pk for other in self.open_dialogs)
        return Written(
            dialog, is_new=is_new, revision=revision, asks_contacts=asks_contacts, visitor=self.visitor, is_newest=is_newest
        )

    def _record_message(self, dialog: Dialog, record: Record) -> int:
        return record.message(dialog, MessageKind.VISITOR, self.submission.text, record.now, key=self.submission.key)

    def _page_wrote(self, record: Record) -> list[Dialog]:
        """P2: a message is a sign of life of its page. Returns the dialogs that this brought the visitor back to."""
        given = self.submission
        if not given.visit_key:
            return []
        arrival = Arrival(self.visitor.pk, self.account.pk, given.visit_key, given.page_url, given.page_title)
        return page_wrote(arrival, self.visitor, record, lease=self.account.visit_lease, open_dialogs=self.open_dialogs)

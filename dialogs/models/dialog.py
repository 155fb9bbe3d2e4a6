"""Dialogs: one conversation with one visitor. Facts and one stored alarm; `dialogs.rules` holds the rules."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dialogs.models.visitor import LONGEST_TITLE, LONGEST_URL, Visitor
from dialogs.rules.presence import Facts, Step, Timeouts
from dialogs.rules.presence import wake_at as next_alarm
from operators.models import Account, Department, Language, Operator
from webim_offline.foundation.database.changes import RemembersLoaded
from webim_offline.foundation.text import shortened

LONGEST_PREVIEW = 200


class StartState(models.TextChoices):
    ONLINE = "online", _("online")
    OFFLINE = "offline", _("offline")


class State(models.TextChoices):
    """Q9. Open are QUEUE and CHATTING."""

    QUEUE = "queue", _("waiting")
    CHATTING = "chatting", _("in dialog")
    CLOSED_BY_VISITOR = "closed_by_visitor", _("closed by the visitor")
    CLOSED_BY_OPERATOR = "closed_by_operator", _("closed by the operator")
    CLOSED = "closed", _("closed")


OPEN_STATES = (State.QUEUE, State.CHATTING)
REOPENABLE_STATES = (State.CLOSED_BY_VISITOR, State.CLOSED_BY_OPERATOR)  # until `closes_at`

# Where a dialog is, as conditions of a query. The partial indexes below have the same conditions, and the plain SQL of automatic
# assignment is made of them.
WAITS_IN_QUEUE = Q(state=State.QUEUE, operator=None, in_workspace=True)  # to be taken (Q1)
IS_ASSIGNED = Q(state=State.QUEUE, operator__isnull=False)  # and not picked up (Q8)
IS_HELD = Q(state__in=OPEN_STATES, operator__isnull=False, in_workspace=True)  # counts for its operator's limit (Q5)


class Numbering(models.Model):
    """The last dialog number given in an account. Locked last (`webim_offline.foundation.database.locks`)."""

    account = models.OneToOneField(Account, models.CASCADE, primary_key=True)
    last_number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.last_number}"


class Dialog(RemembersLoaded):
    """One conversation with one visitor: facts, and one stored alarm; `settle` sets both together.

    `Record.write` stores whatever was changed in a locked dialog, so no caller lists columns.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", verbose_name=_("account"))
    number = models.BigIntegerField(_("number"))
    visitor = models.ForeignKey(Visitor, models.PROTECT, related_name="dialogs", verbose_name=_("visitor"))
    department = models.ForeignKey(Department, models.PROTECT, null=True, related_name="+", verbose_name=_("department"))
    language = models.ForeignKey(Language, models.PROTECT, related_name="+", verbose_name=_("language"))
    continues = models.ForeignKey("self", models.SET_NULL, null=True, related_name="continued_by", verbose_name=_("continues"))

    start_state = models.CharField(_("start state"), max_length=7, choices=StartState)
    evidence = models.JSONField(_("evidence of the start state"), default=dict)
    email_only = models.BooleanField(_("email-only"), default=False)  # the decision of the start (M8)
    in_workspace = models.BooleanField(_("in the workspace"), default=True)

    state = models.CharField(_("state"), max_length=20, choices=State, default=State.QUEUE)
    operator = models.ForeignKey(Operator, models.PROTECT, null=True, related_name="dialogs", verbose_name=_("operator"))
    created_at = models.DateTimeField(_("created"))
    picked_up_at = models.DateTimeField(_("picked up"), null=True)  # by the first who did
    assigned_at = models.DateTimeField(_("assigned"), null=True)  # to `operator`, who has not picked it up
    pickup_by = models.DateTimeField(null=True)  # Q8: until then
    pickup_from = models.DateTimeField(null=True)  # since when that time counts: the assignment, or the end of an outage (P9)
    # Q8: operators who let it wait {id: moment in ISO}, since it was last picked up
    passed_over = models.JSONField(default=dict, blank=True, editable=False)
    closed_at = models.DateTimeField(_("closed"), null=True)

    from_app = models.BooleanField(_("started in a mobile app"), default=False)
    always_online = models.BooleanField(_("online by a push token"), default=False)  # P7 holds now
    is_offline = models.BooleanField(_("current state is offline"), default=False)
    away_since = models.DateTimeField(_("visitor left at"), null=True)
    left_notice_at = models.DateTimeField(null=True)
    went_offline_at = models.DateTimeField(null=True)
    away_not_before = models.DateTimeField(null=True)
    closes_at = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)

    waiting_since = models.DateTimeField(_("oldest unanswered message"), null=True)
    last_message_at = models.DateTimeField(_("last message"))
    last_text = models.CharField(max_length=LONGEST_PREVIEW, blank=True)
    last_is_visitors = models.BooleanField(default=True)
    page_url = models.CharField(_("page"), max_length=LONGEST_URL, blank=True)
    page_title = models.CharField(_("page title"), max_length=LONGEST_TITLE, blank=True)
    revision = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("dialog")
        verbose_name_plural = _("dialogs")
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "number"], name="dialog_number_once"),
            models.CheckConstraint(name="chatting_has_an_operator", condition=~Q(state=State.CHATTING) | Q(operator__isnull=False)),
            models.CheckConstraint(
                name="always_online_is_online",
                condition=Q(always_online=False) | Q(from_app=True, is_offline=False, away_since=None),
            ),
            # Q9: at most one open dialog a visitor, email-only ones apart (M10)
            models.UniqueConstraint(
                fields=["visitor"], name="one_open_dialog_a_visitor", condition=Q(state__in=OPEN_STATES, email_only=False)
            ),
            models.UniqueConstraint(
                fields=["visitor"], name="one_open_email_only_a_visitor", condition=Q(state__in=OPEN_STATES, email_only=True)
            ),
        ]
        indexes = [
            # the sweep: every alarm that has rung (actions.deadlines.advance_due_dialogs)
            models.Index(fields=["wake_at"], name="dialog_alarm", condition=Q(wake_at__isnull=False)),
            # General queue and Offline inquiries (reading.queues.queued)
            models.Index(
                fields=["account", "is_offline", "created_at"],
                name="dialog_queue",
                condition=WAITS_IN_QUEUE,
            ),
            # the oldest dialogs of each queue (actions.free_operators)
            models.Index(
                fields=["account", "department", "language", "is_offline", "created_at"],
                name="dialog_queue_head",
                condition=WAITS_IN_QUEUE,
            ),
            # assigned and not picked up (actions.unpicked)
            models.Index(fields=["pickup_by"], name="dialog_assigned", condition=IS_ASSIGNED),
            # Waiting for a reply, In dialog with you, Other operators (reading.queues.held), and how many dialogs an operator has
            # (actions.free_operators)
            models.Index(
                fields=["account", "operator", "is_offline"],
                name="dialog_held",
                condition=IS_HELD,
            ),
            models.Index(fields=["account", "created_at", "id"], name="dialog_archive"),  # archive: newest first, by period
        ]

    def __str__(self) -> str:
        return f"#{self.number}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_reopenable(self) -> bool:
        """Q9: a message of the visitor would open it again, until the sweep says that its time is over."""
        return self.state in REOPENABLE_STATES and self.in_workspace

    @property
    def facts(self) -> Facts:
        """What the rules of presence need to know of this dialog."""
        return Facts(
            away_since=self.away_since,
            left_notice_at=self.left_notice_at,
            went_offline_at=self.went_offline_at,
            is_offline=self.is_offline,
            is_open=self.is_open,
            closes_at=self.closes_at,
            closing=self._closing,
            always_online=self.always_online,
            away_not_before=self.away_not_before,
        )

    @property
    def _closing(self) -> Step:
        """What time does to this dialog at `closes_at`."""
        if not self.is_open:
            return Step.CLOSED_FOR_GOOD
        return Step.CLOSED_BY_SILENCE if self.in_workspace else Step.CLOSED_BY_TIME

    def settle(self, facts: Facts, timeouts: Timeouts) -> None:
        """Take new facts and set the alarm again: the two never change apart. Saves nothing; `Record.write` does."""
        self.away_since = facts.away_since
        self.left_notice_at = facts.left_notice_at
        self.went_offline_at = facts.went_offline_at
        self.is_offline = facts.is_offline
        self.closes_at = facts.closes_at
        self.always_online = facts.always_online
        self.away_not_before = facts.away_not_before
        self.wake_at = next_alarm(facts, timeouts)

    def set_last_message(self, text: str, at: datetime, *, is_visitors: bool) -> None:
        """Note the newest message of a person, whose beginning cards and the archive show. Saves nothing."""
        self.last_message_at = at
        self.last_text = shortened(" ".join(text.split()), LONGEST_PREVIEW)
        self.last_is_visitors = is_visitors

    @property
    def page_is_link(self) -> bool:
        """A page's address comes from the visitor: only web addresses may become links (M4)."""
        return self.page_url.startswith(("https://", "http://"))

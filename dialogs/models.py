"""Visitors, their visits, and the dialogs they begin. Writes go through `dialogs.actions`; `state` holds the rules."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from dialogs.state import Facts, Step, Timeouts
from dialogs.state import wake_at as next_alarm
from operators.email_fields import AddressField
from operators.models import Account, Department, Language, Operator

LONGEST_TEXT = 4000  # characters of one message (X3)
LONGEST_PREVIEW = 200
LONGEST_URL = 1000
LONGEST_TITLE = 200
LONGEST_KEY = 64  # of a client's own id of a visit or a submission
LONGEST_DEVICE_KEY = 200  # a UUID, and the name of the app's own section
LONGEST_PUSH_TOKEN = 1000


class Visitor(models.Model):
    """A person on the account's site, known by a token of which only the digest is kept (X2)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", verbose_name=_("account"))
    token_digest = models.CharField(max_length=64, editable=False)
    name = models.CharField(_("name"), max_length=120, blank=True)
    email = AddressField(_("email"), blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    own_fields = models.JSONField(_("own fields"), default=dict, blank=True)
    created_at = models.DateTimeField(_("first seen"), db_default=Now(), editable=False)
    is_present = models.BooleanField(_("on the site"), default=False, editable=False)
    left_at = models.DateTimeField(_("left at"), null=True, editable=False)
    has_token = models.BooleanField(default=False, editable=False)  # of any device of theirs (P7)
    is_kept = models.BooleanField(default=False, db_default=False, editable=False)  # has a dialog, as actions.forget_visitors found

    class Meta:
        verbose_name = _("visitor")
        verbose_name_plural = _("visitors")
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["account", "token_digest"], name="visitor_token_once")]
        indexes = [
            # actions.visitors.forget_visitors; of columns that presence never writes, or each of its updates would write indexes
            models.Index(fields=["created_at"], name="visitor_not_kept", condition=Q(is_kept=False)),
        ]

    def __str__(self) -> str:
        return self.name or str(_("Visitor"))


class Platform(models.TextChoices):
    ANDROID = "android", "Android"
    IOS = "ios", "iOS"


class Device(models.Model):
    """A phone with the account's app, once it had a push token (P7); it is with the visitor who last used it."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", verbose_name=_("account"))
    visitor = models.ForeignKey(Visitor, models.CASCADE, related_name="devices", verbose_name=_("visitor"))
    key = models.CharField(max_length=LONGEST_DEVICE_KEY, editable=False)
    token = models.CharField(max_length=LONGEST_PUSH_TOKEN, blank=True, editable=False)
    platform = models.CharField(_("platform"), max_length=10, choices=Platform, blank=True)
    updated_at = models.DateTimeField(_("last change"))

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        constraints = [
            models.UniqueConstraint(fields=["account", "key"], name="device_key_once"),
            models.UniqueConstraint(fields=["account", "token"], name="push_token_once", condition=~Q(token="")),
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]}…"


class LiveProcess(models.Model):
    """The lease of one live process: while it is renewed, the visits it holds are alive without being written."""

    id = models.UUIDField(primary_key=True)
    renewed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    streams = models.PositiveIntegerField(default=0)  # held at the last renewal, for /metrics
    polls = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.id)


class Visit(models.Model):
    """One page load (P1): written when it begins and when it ends; signs of life between them stay in the live process."""

    visitor = models.ForeignKey(Visitor, models.CASCADE, related_name="visits", verbose_name=_("visitor"))
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    key = models.CharField(max_length=LONGEST_KEY, editable=False)
    process = models.ForeignKey(LiveProcess, models.SET_NULL, null=True, related_name="visits", db_index=False)
    began_at = models.DateTimeField(_("began"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    expires_at = models.DateTimeField(null=True)  # when it ends unless a live process hears its page; not before a message's lease
    page_url = models.CharField(_("page"), max_length=LONGEST_URL, blank=True)
    page_title = models.CharField(_("page title"), max_length=LONGEST_TITLE, blank=True)

    class Meta:
        verbose_name = _("visit")
        verbose_name_plural = _("visits")
        constraints = [models.UniqueConstraint(fields=["visitor", "key"], name="visit_key_once")]
        indexes = [
            models.Index(fields=["visitor"], name="visit_alive", condition=Q(ended_at=None)),  # actions.presence
            models.Index(fields=["process"], name="visit_of_process", condition=Q(ended_at=None)),  # release_lost_processes
            models.Index(fields=["expires_at"], name="visit_unheld", condition=Q(ended_at=None, process=None)),  # end_unheld_visits
        ]

    def __str__(self) -> str:
        return self.page_url or self.key


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


class Numbering(models.Model):
    """The last dialog number given in an account. Locked last (design: lock order)."""

    account = models.OneToOneField(Account, models.CASCADE, primary_key=True)
    last_number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.last_number}"


class Dialog(models.Model):
    """One conversation with one visitor. Facts and one stored alarm; `settle` writes both together."""

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
            # the sweep: state.advance for every alarm that has rung
            models.Index(fields=["wake_at"], name="dialog_alarm", condition=Q(wake_at__isnull=False)),
            # General queue and Offline inquiries (queues.queued)
            models.Index(
                fields=["account", "is_offline", "created_at"],
                name="dialog_queue",
                condition=Q(state=State.QUEUE, operator=None, in_workspace=True),
            ),
            # the heads of the queues (actions.candidates)
            models.Index(
                fields=["account", "department", "language", "is_offline", "created_at"],
                name="dialog_queue_head",
                condition=Q(state=State.QUEUE, operator=None, in_workspace=True),
            ),
            # assigned and not picked up (actions.assigner)
            models.Index(fields=["pickup_by"], name="dialog_assigned", condition=Q(state=State.QUEUE, operator__isnull=False)),
            # Waiting for a reply, In dialog with you, Other operators (queues.held); how many somebody has (actions.candidates)
            models.Index(
                fields=["account", "operator", "is_offline"],
                name="dialog_held",
                condition=Q(state__in=OPEN_STATES, operator__isnull=False, in_workspace=True),
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
        """What `state` needs to know of this dialog."""
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
        """Take new facts and set the alarm again: the two never change apart. Saves nothing; see SETTLED."""
        self.away_since = facts.away_since
        self.left_notice_at = facts.left_notice_at
        self.went_offline_at = facts.went_offline_at
        self.is_offline = facts.is_offline
        self.closes_at = facts.closes_at
        self.always_online = facts.always_online
        self.away_not_before = facts.away_not_before
        self.wake_at = next_alarm(facts, timeouts)

    @property
    def page_is_link(self) -> bool:
        """A page's address comes from the visitor: only web addresses may become links (M4)."""
        return self.page_url.startswith(("https://", "http://"))

    # what time alone can change, and what people can
    ADVANCED = ("left_notice_at", "went_offline_at", "is_offline", "closes_at", "wake_at")
    SETTLED = (*ADVANCED, "away_since", "always_online", "away_not_before")
    # who has it, and until when it may wait there
    HELD = ("state", "operator_id", "picked_up_at", "assigned_at", "pickup_by", "pickup_from", "passed_over")


class MessageKind(models.TextChoices):
    VISITOR = "visitor", _("visitor")
    OPERATOR = "operator", _("operator")
    SYSTEM = "system", _("system")


class Message(models.Model):
    """One message. A system message keeps a code, not words: `system_messages` says it in the reader's language (P11)."""

    dialog = models.ForeignKey(Dialog, models.CASCADE, related_name="messages", verbose_name=_("dialog"))
    kind = models.CharField(_("kind"), max_length=10, choices=MessageKind)
    visitor = models.ForeignKey(Visitor, models.PROTECT, null=True, related_name="+")
    author = models.ForeignKey(Operator, models.PROTECT, null=True, related_name="+", verbose_name=_("author"))
    text = models.TextField(_("text"), max_length=LONGEST_TEXT, blank=True)
    code = models.CharField(max_length=40, blank=True)
    params = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(_("at"))
    revision = models.BigIntegerField()
    client_key = models.CharField(max_length=LONGEST_KEY, blank=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["dialog", "revision", "pk"]
        constraints = [
            # B1: a submission's key makes exactly one message, whatever is clicked or retried
            models.UniqueConstraint(
                fields=["visitor", "client_key"], name="visitor_key_once", condition=Q(visitor__isnull=False) & ~Q(client_key="")
            ),
            models.UniqueConstraint(
                fields=["author", "client_key"], name="operator_key_once", condition=Q(author__isnull=False) & ~Q(client_key="")
            ),
        ]
        indexes = [models.Index(fields=["dialog", "revision"], name="message_of_dialog")]

    def __str__(self) -> str:
        return self.text[:60] or self.code


class EventKind(models.TextChoices):
    """What can happen to a dialog; the statistics, the timeline and `notifications` read nothing else."""

    STARTED = "started", _("started")
    VISITOR_WROTE = "visitor_wrote", _("the visitor wrote")
    OPERATOR_WROTE = "operator_wrote", _("the operator answered")
    PICKED_UP = "picked_up", _("picked up")
    ASSIGNED = "assigned", _("assigned")
    UNASSIGNED = "unassigned", _("returned to the queue")
    TRANSFERRED = "transferred", _("transferred")
    REOPENED = "reopened", _("reopened")
    VISITOR_LEFT = "visitor_left", _("the visitor left the site")
    VISITOR_CAME_BACK = "visitor_came_back", _("the visitor came back")
    LEFT_NOTICE = "left_notice", _("message: the visitor left")
    WENT_OFFLINE = "went_offline", _("went offline")
    RETURNED = "returned", _("message: the visitor is back")
    TOKEN_SET = "token_set", _("online by a push token")
    TOKEN_REMOVED = "token_removed", _("no push token any more")
    CONTACTS_LEFT = "contacts_left", _("the visitor left contacts")
    ENTERED_WORKSPACE = "entered_workspace", _("brought into the workspace")
    DELIVERY = "delivery", _("a letter")
    CLOSED_BY_VISITOR = "closed_by_visitor", _("closed by the visitor")
    CLOSED_BY_OPERATOR = "closed_by_operator", _("closed by the operator")
    CLOSED_BY_TIME = "closed_by_time", _("closed by time")
    CLOSED_BY_SILENCE = "closed_by_silence", _("closed: the visitor did not answer")
    CLOSED_FOR_GOOD = "closed_for_good", _("closed for good")


# the kinds that wait for `notifications`; presence is history at once, or thousands of absences a second would queue there
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


class DialogEvent(models.Model):
    """Append-only: history, statistics, audit trail and the work list of `notifications` (handled_at is null).

    `data` holds what its sentence in the timeline needs (B3), as codes, names and whole seconds, never as words:
    settings change, and every reader has a language of their own.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    dialog = models.ForeignKey(Dialog, models.CASCADE, related_name="events", verbose_name=_("dialog"))
    kind = models.CharField(_("kind"), max_length=20, choices=EventKind)
    at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(Operator, models.PROTECT, null=True, related_name="+", verbose_name=_("who"))
    data = models.JSONField(default=dict, blank=True)
    revision = models.BigIntegerField()
    handled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["dialog", "revision", "pk"]
        indexes = [
            models.Index(fields=["id"], name="event_unhandled", condition=Q(handled_at=None)),  # notifications
            models.Index(fields=["dialog", "revision"], name="event_of_dialog"),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())


class DeliveryStatus(models.TextChoices):
    QUEUED = "queued", _("queued")
    ACCEPTED = "accepted", _("accepted")
    REFUSED = "refused", _("refused")
    UNKNOWN = "unknown", _("unknown: the server did not say")
    GIVEN_UP = "given_up", _("given up")
    NO_ADDRESS = "no_address", _("no address set")
    NO_SERVER = "no_server", _("not sent anywhere: no mail server")


class Delivery(models.Model):
    """One line of a dialog's delivery ledger (B2), handed down by `notifications` through `record_delivery`."""

    dialog = models.ForeignKey(Dialog, models.CASCADE, related_name="deliveries", verbose_name=_("dialog"))
    key = models.CharField(max_length=120)
    recipient = models.CharField(_("recipient"), max_length=254, blank=True)
    status = models.CharField(_("status"), max_length=12, choices=DeliveryStatus)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    queued_at = models.DateTimeField(_("queued"))
    updated_at = models.DateTimeField(_("last change"))

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["dialog", "key"], name="delivery_once")]

    def __str__(self) -> str:
        return f"{self.recipient}: {self.get_status_display()}"


class SearchWords(models.TextField):
    """Words as a search compares them: a tsvector on PostgreSQL; on SQLite stems with spaces between, each once."""

    def db_type(self, connection: Any) -> str | None:
        return "tsvector" if connection.vendor == "postgresql" else super().db_type(connection)


class SearchText(models.Model):
    """What the archive's search reads of a dialog, or of a part of a very long one (Q13).

    Written by the database's own triggers with every message and every change of contacts, and by nobody else
    (migration 0002, decision 0014).
    """

    dialog = models.ForeignKey(Dialog, models.CASCADE, related_name="+")
    words = SearchWords(editable=False)
    contacts = SearchWords(editable=False)

    def __str__(self) -> str:
        return f"{self.dialog_id}"


class Pulse(models.Model):
    """When a part of the service last ran. /healthz reads it, and P9 measures an outage by it."""

    BEAT, SWEEP, LEASES, MAIL = "beat", "sweep", "leases", "mail"

    name = models.CharField(primary_key=True, max_length=20)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.at}"

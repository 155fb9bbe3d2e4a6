"""The history of a dialog."""

from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from dialogs import events
from dialogs.event_classes import Event
from dialogs.models.dialog import Dialog
from operators.models import Account, Operator


class EventKind(models.TextChoices):
    """The stored codes of what can happen to a dialog, and their names; `dialogs.events` has a class for each."""

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


class DialogEvent(models.Model):
    """Append-only: the history of a dialog, and nothing else. What must still be done because of an event is a `Duty`.

    `kind` and `data` are the stored form of one of the classes of `dialogs.events`: read `details` instead of them. The data
    holds what the sentence in the timeline needs (B3), as codes, names and whole seconds, never as words: settings change,
    and every reader has a language of their own.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    dialog = models.ForeignKey(Dialog, models.CASCADE, related_name="events", verbose_name=_("dialog"))
    kind = models.CharField(_("kind"), max_length=20, choices=EventKind)
    at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(Operator, models.PROTECT, null=True, related_name="+", verbose_name=_("who"))
    data = models.JSONField(default=dict, blank=True)
    revision = models.BigIntegerField()
    # The release before duties looks here for events whose letter is not written yet (null). This release writes the column and
    # reads it nowhere; the triggers of migration 0009 keep it in step with the duties. The next release stops writing it and
    # drops the triggers and the index; the release after that drops the column (decision 0018).
    handled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["dialog", "revision", "pk"]
        indexes = [
            models.Index(fields=["id"], name="event_unhandled", condition=Q(handled_at=None)),  # former releases
            models.Index(fields=["dialog", "revision"], name="event_of_dialog"),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())

    @cached_property
    def details(self) -> Event:
        """What happened, as an object of `dialogs.events`; `events.UNKNOWN` for what a newer release has written."""
        return events.read(self.kind, self.data)

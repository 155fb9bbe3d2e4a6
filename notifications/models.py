"""The outbox: one row a letter and recipient (M3), with every attempt to deliver it."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dialogs.models import Dialog
from operators.email_fields import AddressField
from operators.models import Account


class LetterKind(models.TextChoices):
    """Why a letter about a left message was written (M2)."""

    FIRST = "first", _("left message")
    FOLLOW_UP = "follow_up", _("the visitor added something")
    PICKED_UP = "picked_up", _("picked up")


class EmailStatus(models.TextChoices):
    """Where a letter stands. WAITING and SENDING are under way, SENT is accepted, the others are ends (see UNDELIVERED)."""

    WAITING = "waiting", _("waiting")
    SENDING = "sending", _("being sent")
    SENT = "sent", _("sent")
    REFUSED = "refused", _("refused for good")
    GIVEN_UP = "given_up", _("given up")
    UNKNOWN = "unknown", _("unknown: the server did not say")
    KEPT = "kept", _("kept here, not sent anywhere")


# the ends of a letter that nobody is known to have received
UNDELIVERED = (EmailStatus.REFUSED, EmailStatus.GIVEN_UP, EmailStatus.UNKNOWN, EmailStatus.KEPT)


class OutgoingEmail(models.Model):
    """One letter to one recipient; rendered when made, sent over SMTP outside of any transaction."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", verbose_name=_("account"))
    dialog = models.ForeignKey(Dialog, models.PROTECT, related_name="letters", verbose_name=_("dialog"))
    kind = models.CharField(_("kind"), max_length=10, choices=LetterKind)
    dedupe_key = models.CharField(max_length=120, unique=True, editable=False)
    recipient = AddressField(_("recipient"), max_length=320)
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"))
    message_id = models.CharField("Message-ID", max_length=320, unique=True)
    thread = models.JSONField(_("earlier letters"), default=list, editable=False)  # Message-IDs, for References

    # what this letter and those before it told this recipient: a reply carries only what is new (M2)
    told_revision = models.BigIntegerField(editable=False)
    told_contacts = models.JSONField(default=dict, editable=False)
    tells_pick_up = models.BooleanField(default=False, editable=False)

    status = models.CharField(_("status"), max_length=10, choices=EmailStatus, default=EmailStatus.WAITING)
    created_at = models.DateTimeField(_("created"))
    next_try_at = models.DateTimeField(_("next try"), null=True)
    give_up_at = models.DateTimeField(_("tried until"))
    claim = models.UUIDField(null=True, editable=False)  # the run that sends it now; its lease ends at next_try_at
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    lost_answers = models.PositiveSmallIntegerField(default=0, editable=False)  # connections lost after DATA (M3)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    sent_at = models.DateTimeField(_("accepted by the server"), null=True)

    class Meta:
        verbose_name = _("outgoing email")
        verbose_name_plural = _("outgoing emails")
        ordering = ["-pk"]
        indexes = [
            # outgoing.delivery: what to send, and claims of processes that died
            models.Index(fields=["next_try_at"], name="email_due", condition=Q(next_try_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.recipient}: {self.subject}"


class Outcome(models.TextChoices):
    """What one try came to."""

    ACCEPTED = "accepted", _("accepted")
    PUT_OFF = "put_off", _("not taken now")
    REFUSED = "refused", _("refused for good")
    LOST = "lost", _("no answer: perhaps accepted")


class DeliveryAttempt(models.Model):
    """One try to hand a letter to the mail server, and what came of it."""

    email = models.ForeignKey(OutgoingEmail, models.CASCADE, related_name="tries", verbose_name=_("outgoing email"))
    at = models.DateTimeField(_("at"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome)
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.get_outcome_display()}"

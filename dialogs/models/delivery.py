"""What became of each letter of a dialog (B2)."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from dialogs.events import LetterStatus
from dialogs.models.dialog import Dialog


class DeliveryStatus(models.TextChoices):
    """The names of what can become of a letter; the codes are those that events store, too."""

    QUEUED = LetterStatus.QUEUED.value, _("queued")
    ACCEPTED = LetterStatus.ACCEPTED.value, _("accepted")
    REFUSED = LetterStatus.REFUSED.value, _("refused")
    UNKNOWN = LetterStatus.UNKNOWN.value, _("unknown: the server did not say")
    GIVEN_UP = LetterStatus.GIVEN_UP.value, _("given up")
    NO_ADDRESS = LetterStatus.NO_ADDRESS.value, _("no address set")
    NO_SERVER = LetterStatus.NO_SERVER.value, _("not sent anywhere: no mail server")


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

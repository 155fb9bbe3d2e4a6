"""Messages of people and of the system."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dialogs.models.dialog import Dialog
from dialogs.models.visitor import LONGEST_KEY, Visitor
from operators.models import Operator
from webim_offline.foundation.text import cut

LONGEST_TEXT = 4000  # characters of one message (X3)


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
            # B1: a submission's key makes exactly one message, whatever is clicked or retried. A visitor's key is made for a
            # message that may go into any of their dialogs, an operator's for an answer in one dialog.
            models.UniqueConstraint(
                fields=["visitor", "client_key"], name="visitor_key_once", condition=Q(visitor__isnull=False) & ~Q(client_key="")
            ),
            models.UniqueConstraint(
                fields=["dialog", "author", "client_key"],
                name="operator_key_once_a_dialog",
                condition=Q(author__isnull=False) & ~Q(client_key=""),
            ),
        ]
        indexes = [models.Index(fields=["dialog", "revision"], name="message_of_dialog")]

    def __str__(self) -> str:
        return cut(self.text, 60) or self.code

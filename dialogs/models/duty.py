"""What must still be done because of what happened to a dialog."""

from enum import StrEnum

from django.db import models

from dialogs.models.dialog import Dialog


class Purpose(StrEnum):
    """What a duty is for. Each purpose has one consumer, the only code that does, puts off and deletes its duties."""

    LEFT_MESSAGE_LETTERS = "left_message_letters"  # M2; its consumer is notifications.outgoing.duties


class Duty(models.Model):
    """An open duty: the row is written with the events that ask for it, in their transaction, and deleted when it is done.

    It is about the events of the dialog whose revisions lie between `first_revision` and `last_revision`, both included. A dialog
    has at most one open duty for each purpose. A later event joins the open duty, and may bring its due moment forward but
    never move it back; only the consumer may put it off. `dialogs.actions.duties` holds the rules; decision 0018 gives the
    reasons.

    The purpose may be one that this release does not know, when a later release was rolled back: such a duty waits, and
    `/metrics` counts it.
    """

    dialog = models.ForeignKey(Dialog, models.CASCADE, related_name="duties")
    purpose = models.CharField(max_length=40)
    due_at = models.DateTimeField()  # the consumer looks at it from then on
    since = models.DateTimeField()  # the moment of its oldest event
    first_revision = models.BigIntegerField()
    last_revision = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "duties"
        constraints = [models.UniqueConstraint(fields=["dialog", "purpose"], name="one_open_duty_a_purpose")]
        indexes = [models.Index(fields=["purpose", "due_at"], name="duty_due")]  # actions.duties.due_dialog_ids

    def __str__(self) -> str:
        return f"{self.purpose} of {self.dialog_id}"

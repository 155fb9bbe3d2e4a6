"""What changed and when: people's conditions (A4) and settings (M9)."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from operators.models.account import Account
from operators.models.person import Operator, Status


class ConditionReason(models.TextChoices):
    """Why a person's condition changed (A4)."""

    CHOSEN = "chosen", _("status chosen")
    EXPIRED = "expired", _("the workspace fell silent")
    BACK = "back", _("the workspace is back")
    SIGNED_OUT = "signed_out", _("signed out")
    MEMBERSHIP = "membership", _("departments or languages changed")
    ACTIVE = "active", _("activated or deactivated")
    SETTINGS = "settings", _("settings of the account changed")
    CLOCK = "clock", _("the clock was set back")


class OperatorChange(models.Model):
    """A person's condition from a moment on, until the next row (A4). Append-only, in the order of writing; see `history`.

    `is_online` is effectively online (A1, A2); departments and languages are lists of their ids.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", verbose_name=_("account"))
    operator = models.ForeignKey(Operator, models.PROTECT, related_name="changes", verbose_name=_("operator"))
    at = models.DateTimeField(_("at"))
    reason = models.CharField(_("what happened"), max_length=10, choices=ConditionReason)
    actor = models.ForeignKey(Operator, models.PROTECT, null=True, related_name="+", verbose_name=_("changed by"))
    status = models.CharField(_("status"), max_length=10, choices=Status)
    is_online = models.BooleanField(_("online"))
    is_active = models.BooleanField(_("active"))
    departments = models.JSONField(_("departments"))
    languages = models.JSONField(_("languages"))

    class Meta:
        verbose_name = _("change of availability")
        verbose_name_plural = _("changes of availability")
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["operator", "id"], name="change_of_operator"),  # history.online_at
            models.Index(fields=["account", "at", "id"], name="change_of_account"),  # history.Replay
        ]

    def __str__(self) -> str:
        return f"{self.operator}: {self.get_status_display()}"


class WorkspacesHeard(models.Model):
    """Until when signs of life of workspaces could be written (P9): one row, kept up by the live processes."""

    at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.at)


class SettingTarget(models.TextChoices):
    """Whose setting a `SettingChange` tells of."""

    ACCOUNT = "account", _("account")
    DEPARTMENT = "department", _("department")
    LANGUAGE = "language", _("language")
    CONTACT_FIELD = "contact_field", _("own contact field")
    OPERATOR = "operator", _("operator")


class Lifetime(models.TextChoices):
    """What a `SettingChange` names as its setting when a department, language or contact field as a whole changed."""

    ADDED = "added", _("added")
    ARCHIVED = "archived", _("archived")
    RESTORED = "restored", _("brought back")
    DELETED = "deleted", _("deleted")


class SettingChange(models.Model):
    """One changed setting: who changed it, when, from what and to what (M9). Append-only; `operators.actions.settings` writes it.

    `kind` and `target_id` say whose setting it is. `target_name` is its short name at that moment: a department's slug, a
    language's code, a contact field's label, an operator's login; empty for the account itself. `target_id` may name a row that
    is deleted by now; it is null where a release before these columns kept only a name that belongs to nobody any more.
    `setting` is the name of the model's field, or one of `Lifetime`. `before` and `after` are its values as JSON: numbers,
    booleans and texts, moments in ISO 8601, null for no value.

    `dialogs` applies the changes that running dialogs follow (`operators.actions.settings.ACTING`): until it has, their
    `handled_at` is null.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="setting_changes", verbose_name=_("account"))
    at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(Operator, models.PROTECT, null=True, related_name="+", verbose_name=_("changed by"))
    kind = models.CharField(_("kind"), max_length=20, choices=SettingTarget, db_default="")
    target_id = models.BigIntegerField(null=True)
    target_name = models.TextField(_("name"), blank=True, db_default="")
    setting = models.CharField(_("setting"), max_length=60, db_default="")
    before = models.JSONField(_("from"), null=True)
    after = models.JSONField(_("to"), null=True)
    handled_at = models.DateTimeField(null=True, editable=False)

    # Only for processes of the release before `kind`: triggers of the database fill them for those processes, and fill the
    # columns above from them in rows that those processes write (decision 0022). The release after this one drops them.
    legacy_field = models.CharField(max_length=60, blank=True, db_default="", db_column="field", editable=False)
    legacy_old = models.CharField(max_length=1000, blank=True, db_default="", db_column="old", editable=False)
    legacy_new = models.CharField(max_length=1000, blank=True, db_default="", db_column="new", editable=False)

    class Meta:
        verbose_name = _("change of settings")
        verbose_name_plural = _("changes of settings")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["id"], name="setting_change_unhandled", condition=Q(handled_at=None))]

    def __str__(self) -> str:
        return f"{self.setting}: {self.before} → {self.after}"

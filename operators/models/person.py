"""The people who answer, supervise and support."""

import unicodedata
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.auth.password_validation import validate_password
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from operators.email_fields import AddressField
from operators.logins import LONGEST_KEY, LONGEST_TYPED, cleaned_login, login_key
from operators.models.account import (
    MOST_DIALOGS,
    MOST_VISIBLE,
    Account,
    Department,
    Language,
    own_limit,
)
from operators.text_fields import CharField, LineField
from webim_offline.foundation.text import cleaned_line


class Role(models.TextChoices):
    OPERATOR = "operator", _("Operator")
    SUPERVISOR = "supervisor", _("Supervisor")
    SUPPORT = "support", _("Support staff")


class Status(models.TextChoices):
    """What an operator chose (A1). Only ONLINE counts as available."""

    ONLINE = "online", _("Online")
    INVISIBLE = "invisible", _("Invisible")
    BREAK_LUNCH = "lunch", _("Break: lunch")
    BREAK_PERSONAL = "personal", _("Break: personal")
    BREAK_TECHNICAL = "technical", _("Break: technical")
    BREAK_TRAINING = "training", _("Break: training")
    BREAK_MEETING = "meeting", _("Break: meeting")
    OFFLINE = "offline", _("Offline")


class LoginInput(forms.CharField):
    """The form field of a login."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(cleaned_login(value) if isinstance(value, str) else value)


class LoginField(LineField):
    """The column of logins; for migrations Django's own."""

    def to_python(self, value: Any) -> Any:
        return cleaned_login(value) if isinstance(value, str) else super().to_python(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": LoginInput, **kwargs})


class LoginKeyField(CharField):
    """A column that follows `username`: whenever it is saved it takes the form in which logins are compared (C6)."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        key = login_key(model_instance.username)  # type: ignore[attr-defined]  # only people have such a column
        setattr(model_instance, self.attname, key)
        return key

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", list(args), kwargs


class OperatorManager(BaseUserManager["Operator"]):
    def with_login(self, login: str) -> "Operator | None":
        """The person with a login, compared without case and without spaces around (C6). One query for any text.

        Where logins of several people differ by case alone, each of them is found as it is written, and nothing else is.
        """
        key, typed = login_key(login), unicodedata.normalize("NFKC", cleaned_line(login[:LONGEST_TYPED]))
        # A row that a release from before has made has no key.
        rows = self.filter(Q(login_key=key or None) | Q(username=typed)).order_by("pk")
        found = [person for person in rows if login_key(person.username) == key]  # one that it has renamed has the key from before
        as_written = [person for person in found if person.username == typed]
        return (as_written or found)[0] if as_written or len(found) == 1 else None

    def get_by_natural_key(self, username: str | None) -> "Operator":
        """What Django's commands ask, such as `createsuperuser` whether a login is taken."""
        found = self.with_login(username or "")
        if found is None:
            raise self.model.DoesNotExist
        return found

    def create_user(self, username: str, password: str | None = None, **fields: object) -> "Operator":
        """Add a person with a hashed password."""
        operator = self.model(username=username, **fields)
        operator.set_password(password)
        operator.save(using=self._db)
        return operator

    def create_superuser(self, username: str, password: str | None = None, **fields: object) -> "Operator":
        """Add a member of the support staff (`manage.py createsuperuser`). Raises ValidationError for a weak password.

        The command itself would take one after a question, and any from DJANGO_SUPERUSER_PASSWORD.
        """
        fields.setdefault("name", username)
        if password is not None:
            validate_password(password, self.model(username=username, **fields))
        return self.create_user(username, password, role=Role.SUPPORT, **fields)


class Operator(AbstractBaseUser):
    """Everyone who signs in: operators, supervisors and support staff. Rights follow from the role alone."""

    username = LoginField(
        _("login"),
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"\A[\w.@+-]+\Z", _("Use letters, digits and . @ + - _ only."))],
        error_messages={"unique": _("This login is taken.")},
    )
    login_key = LoginKeyField(max_length=LONGEST_KEY, db_default="", db_index=True, editable=False)
    name = LineField(_("name"), max_length=120, help_text=_("Visitors see it above answers."))
    email = AddressField(_("email"), blank=True)
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.OPERATOR)
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="operators", verbose_name=_("account"))
    departments = models.ManyToManyField(Department, blank=True, related_name="operators", verbose_name=_("departments"))
    languages = models.ManyToManyField(Language, blank=True, related_name="operators", verbose_name=_("languages"))
    ui_language = models.CharField(
        _("language of the pages"),
        max_length=3,
        blank=True,
        choices=[("en", "English"), ("ru", "Русский")],
        help_text=_("Empty: the browser's."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Take this off instead of deleting: dialogs keep naming the person.")
    )
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    max_online_dialogs = own_limit(_("online dialogs at most"), MOST_DIALOGS)
    max_offline_dialogs = own_limit(_("offline dialogs at most"), MOST_DIALOGS)
    visible_online_dialogs = own_limit(_("dialogs shown in General queue"), MOST_VISIBLE)
    visible_offline_dialogs = own_limit(_("dialogs shown in Offline inquiries"), MOST_VISIBLE)

    # what the own workspace does when something comes (Q12): operators.actions.people.choose_rings
    rings_for_queues = models.BooleanField(default=True, editable=False)
    rings_for_assigned = models.BooleanField(default=True, editable=False)
    rings_for_messages = models.BooleanField(default=True, editable=False)
    rings_on_desktop = models.BooleanField(default=True, editable=False)

    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OFFLINE)
    last_seen_at = models.DateTimeField(_("last sign of life"), null=True, editable=False)
    acted_at = models.DateTimeField(null=True, editable=False)  # the last own action in the workspace (Q8)
    tickets_valid_from = models.DateTimeField(db_default=Now(), editable=False)
    # counts how often every session of this person was ended for good: operators.actions.status.end_sessions
    session_generation = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    counted_online = models.BooleanField(default=False, editable=False)  # what the last OperatorChange says

    was_away = False  # of the person of a request: before it, nothing was heard of their workspace (A2); not stored

    objects = OperatorManager()
    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("operator")
        verbose_name_plural = _("operators")
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(
                name="support_staff_has_no_account",
                condition=Q(role=Role.SUPPORT, account=None) | (~Q(role=Role.SUPPORT) & Q(account__isnull=False)),
                violation_error_message=_("An operator or supervisor belongs to one account; support staff to none."),
            )
        ]
        # For signs_of_life.record_expiries. The last sign of life itself is renewed all the time and has no index.
        indexes = [models.Index(fields=["account"], name="operator_counted_online", condition=Q(counted_online=True))]

    def __str__(self) -> str:
        return self.name or self.username

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session carries and every request compares: another password or generation ends it (Django flushes it then).

        Of a person whose sessions were never ended it is Django's own, so that sessions from before go on.
        """
        if not self.session_generation:
            return str(super()._get_session_auth_hash(secret=secret))  # type: ignore[misc]  # not in the stubs
        marks = f"{self.session_generation}:{self.password}"
        return salted_hmac("operators.Operator.session", marks, secret=secret, algorithm="sha256").hexdigest()

    def name_for(self, reader: "Operator") -> str:
        """What `reader` may know this person by: for customers the support staff has no names (X1)."""
        return str(_("Support staff") if self.is_support and not reader.is_support else self)

    def limit(self, name: str, account: Account | None = None) -> int:
        """Q5: the operator's own number of that name, else the account's; 0 = no limit. `account`: as it has been read already."""
        own: int | None = getattr(self, name)
        return int(getattr(account or self.account, name)) if own is None else own

    @property
    def own_account(self) -> Account:
        """The account of an operator or supervisor. Raises ValueError for support staff, who have none."""
        if self.account is None:
            raise ValueError("support staff have no account")
        return self.account

    @property
    def is_supervisor(self) -> bool:
        return self.role == Role.SUPERVISOR

    @property
    def is_support(self) -> bool:
        return self.role == Role.SUPPORT

    @property
    def is_staff(self) -> bool:
        """May open the admin: supervisors for their own account, support staff for all."""
        return self.role in {Role.SUPERVISOR, Role.SUPPORT}

    @property
    def is_superuser(self) -> bool:
        return self.is_support

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        """Support staff may do everything in the admin; a supervisor what SUPERVISOR_RIGHTS lists."""
        from_role = self.is_support or (self.is_supervisor and perm in SUPERVISOR_RIGHTS)
        return self.is_active and from_role

    def has_perms(self, perms: list[str], obj: models.Model | None = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perms)

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and (
            self.is_support or (self.is_supervisor and any(right.startswith(f"{app_label}.") for right in SUPERVISOR_RIGHTS))
        )


SUPERVISOR_RIGHTS = frozenset(
    {
        "operators.view_account",
        "operators.change_account",
        *(
            f"operators.{verb}_{model}"
            for verb in ("view", "add", "change", "delete")
            for model in ("department", "language", "operator", "contactfield")
        ),
        "operators.view_operatorchange",
        "operators.view_settingchange",
        "dialogs.view_visitor",
        "dialogs.view_device",
        "dialogs.view_dialog",
        "dialogs.change_dialog",
        "dialogs.view_message",
        "dialogs.view_dialogevent",
        "dialogs.view_delivery",
        "notifications.view_outgoingemail",
        "notifications.change_outgoingemail",
        "notifications.view_deliveryattempt",
    }
)

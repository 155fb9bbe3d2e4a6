"""Accounts with their settings, and the people who answer. Nothing here knows what a dialog is."""

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.auth.password_validation import validate_password
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from operators.email_fields import AddressField
from operators.validators import origins, validate_addresses, validate_sites, validate_time_zone

LONGEST_TIME = 30 * 24 * 3600  # seconds; the ceiling of every time setting (interfaces.md)
MOST_DIALOGS = 10_000  # the highest limit of one operator's dialogs
MOST_VISIBLE = 500  # cards of one queue on an operator's page
SLUG = RegexValidator(r"\A[a-z0-9][a-z0-9-]{0,62}\Z", _("Use small letters, digits and hyphens, at most 63."))
LANGUAGE_CODE = RegexValidator(r"\A[a-z]{2,3}\Z", _("Use a language code of two or three small letters, such as ru."))


def seconds(verbose_name: str, default: int, help_text: str = "") -> models.PositiveIntegerField:
    """A time setting: whole seconds from 0 to 30 days."""
    return models.PositiveIntegerField(
        verbose_name, default=default, help_text=help_text, validators=[MaxValueValidator(LONGEST_TIME)]
    )


class Requirement(models.TextChoices):
    """How the offline form asks for a contact (W3)."""

    OFF = "off", _("Off")
    OPTIONAL = "optional", _("Optional")
    REQUIRED = "required", _("Required")


class OfflineMode(models.TextChoices):
    """What the widget shows when the service is offline (W3)."""

    FORM = "form", _("Button and form")
    HIDDEN = "hidden", _("Nothing")


class Assignment(models.TextChoices):
    """How waiting dialogs find their operator (Q6, Q7)."""

    MANUAL = "manual", _("Manual: operators take dialogs")
    AUTOMATIC = "automatic", _("Automatic: to the operator with the fewest dialogs")


def limit(verbose_name: str, help_text: str = "") -> models.PositiveIntegerField:
    """A number of dialogs that Q5 bounds; 0 = no limit."""
    return models.PositiveIntegerField(verbose_name, default=0, help_text=help_text, validators=[MaxValueValidator(MOST_DIALOGS)])


def own_limit(verbose_name: str, most: int) -> models.PositiveIntegerField:
    """An operator's own number instead of the account's (Q5); empty: the account's."""
    return models.PositiveIntegerField(verbose_name, null=True, blank=True, validators=[MaxValueValidator(most)])


class Account(models.Model):
    """A company using the system; every other row belongs to exactly one account."""

    slug = models.CharField(_("short name"), max_length=63, unique=True, validators=[SLUG])
    name = models.CharField(_("name"), max_length=120)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_time_zone])
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, editable=False)

    left_messages_email = models.CharField(
        _("For left messages"),
        max_length=1000,
        blank=True,
        validators=[validate_addresses],
        help_text=_("One or more addresses, comma-separated. Every left message is mailed here."),
    )
    left_messages_in_workspace = models.BooleanField(
        _("Left messages reach the workspace"),
        default=True,
        help_text=_("Off: they are only mailed. Dialogs that started online are not affected."),
    )

    operator_lease = seconds(
        _("An operator without a sign of life is offline after"), 60, _("Seconds since the workspace was last heard of.")
    )
    visit_lease = seconds(_("A page counts as lost after"), 30, _("Seconds; when the page did not say goodbye itself."))
    left_notice_after = seconds(
        _("“Visitor left the site” is written into the dialog after"), 120, _("Seconds; 0: it is not written.")
    )
    offline_after = seconds(
        _("The dialog becomes offline after"), 1200, _("Seconds without the visitor; 0: never. Not sooner than the message above.")
    )
    timeouts_changed_at = models.DateTimeField(db_default=Now(), editable=False)

    assignment = models.CharField(_("Assignment of dialogs"), max_length=10, choices=Assignment, default=Assignment.MANUAL)
    pickup_timeout = seconds(
        _("An assigned dialog that nobody picks up returns to the queue after"), 60, _("Seconds; a department may have its own.")
    )
    max_online_dialogs = limit(_("Online dialogs of one operator at most"), _("For automatic assignment; 0: no limit."))
    max_offline_dialogs = limit(_("Offline dialogs of one operator at most"), _("For automatic assignment; 0: no limit."))
    reopen_window = seconds(
        _("A visitor’s message reopens a closed dialog within"), 600, _("Seconds; after that a message starts a new dialog.")
    )
    close_after = seconds(
        _("A dialog whose last word is the operator’s closes after"),
        259_200,
        _("Seconds without an answer of the visitor; 0: never."),
    )
    visible_online_dialogs = models.PositiveIntegerField(
        _("Dialogs shown in General queue"), default=100, validators=[MaxValueValidator(MOST_VISIBLE)]
    )
    visible_offline_dialogs = models.PositiveIntegerField(
        _("Dialogs shown in Offline inquiries"), default=50, validators=[MaxValueValidator(MOST_VISIBLE)]
    )

    widget_offline_mode = models.CharField(
        _("When nobody is online the widget shows"), max_length=10, choices=OfflineMode, default=OfflineMode.FORM
    )
    contact_name = models.CharField(_("Name"), max_length=10, choices=Requirement, default=Requirement.OPTIONAL)
    contact_email = models.CharField(_("Email"), max_length=10, choices=Requirement, default=Requirement.REQUIRED)
    contact_phone = models.CharField(_("Phone"), max_length=10, choices=Requirement, default=Requirement.OFF)
    privacy_url = models.URLField(
        _("privacy policy"), max_length=500, blank=True, help_text=_("Linked under the offline form; empty: no line.")
    )

    sites = models.CharField(
        _("Sites of the widget"),
        max_length=2000,
        blank=True,
        validators=[validate_sites],
        help_text=_("Comma-separated, such as https://shop.example: the widget works only there. Empty: on any site."),
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="offline_not_before_notice",
                condition=Q(offline_after=0) | Q(offline_after__gte=F("left_notice_after")),
                violation_error_message=_("The dialog cannot become offline before the message that the visitor left."),
            ),
            models.CheckConstraint(
                name="switched_off_needs_an_address",
                condition=Q(left_messages_in_workspace=True) | ~Q(left_messages_email=""),
                violation_error_message=_("Left messages that only go by mail need an address."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may use the widget; none listed: all may (X5)."""
        return frozenset(origins(self.sites))


class Department(models.Model):
    """A part of an account that answers; archived, never deleted (A5)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="departments", verbose_name=_("account"))
    slug = models.CharField(_("short name"), max_length=63, validators=[SLUG], help_text=_("The widget asks for it by this name."))
    name = models.CharField(_("name"), max_length=120)
    left_messages_email = models.CharField(
        _("For left messages"),
        max_length=1000,
        blank=True,
        validators=[validate_addresses],
        help_text=_("Empty: the account's addresses."),
    )
    pickup_timeout = models.PositiveIntegerField(
        _("An assigned dialog that nobody picks up returns to the queue after"),
        null=True,
        blank=True,
        help_text=_("Seconds. Empty: the account's."),
        validators=[MaxValueValidator(LONGEST_TIME)],
    )
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "slug"],
                name="department_slug_once",
                violation_error_message=_("This account has a department with this short name already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Language(models.Model):
    """A language an account answers in; the one with the lowest position is its first (A5)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="languages", verbose_name=_("account"))
    code = models.CharField(_("code"), max_length=3, validators=[LANGUAGE_CODE])
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    offline_text = models.CharField(
        _("text above the offline form"), max_length=500, blank=True, help_text=_("Empty: our standard sentence.")
    )
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("language")
        verbose_name_plural = _("languages")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "code"],
                name="language_code_once",
                violation_error_message=_("This account has this language already."),
            )
        ]

    def __str__(self) -> str:
        return self.code


class ContactField(models.Model):
    """An account's own field of the offline form (W3)."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="contact_fields", verbose_name=_("account"))
    label = models.CharField(_("label"), max_length=60)
    requirement = models.CharField(_("asked"), max_length=10, choices=Requirement, default=Requirement.OPTIONAL)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("own contact field")
        verbose_name_plural = _("own contact fields")
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["account", "label"], name="contact_field_label_once")]

    def __str__(self) -> str:
        return self.label


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


class OperatorManager(BaseUserManager["Operator"]):
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

    username = models.CharField(
        _("login"),
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"\A[\w.@+-]+\Z", _("Use letters, digits and . @ + - _ only."))],
        error_messages={"unique": _("This login is taken.")},
    )
    name = models.CharField(_("name"), max_length=120, help_text=_("Visitors see it above answers."))
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

    # what the own workspace does when something comes (Q12): configuration.choose_rings
    rings_for_queues = models.BooleanField(default=True, editable=False)
    rings_for_assigned = models.BooleanField(default=True, editable=False)
    rings_for_messages = models.BooleanField(default=True, editable=False)
    rings_on_desktop = models.BooleanField(default=True, editable=False)

    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OFFLINE)
    last_seen_at = models.DateTimeField(_("last sign of life"), null=True, editable=False)
    acted_at = models.DateTimeField(null=True, editable=False)  # the last own action in the workspace (Q8)
    tickets_valid_from = models.DateTimeField(db_default=Now(), editable=False)
    # counts how often every session of this person was ended for good: actions.end_sessions
    session_generation = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    counted_online = models.BooleanField(default=False, editable=False)  # what the last OperatorChange says

    was_away = False  # of the person of a request: before it, nothing was heard of their workspace (A2); not stored

    objects = OperatorManager()
    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: list[str] = []

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
        # actions.record_expiries; the last sign of life itself is renewed all the time and has no index
        indexes = [models.Index(fields=["account"], name="operator_counted_online", condition=Q(counted_online=True))]

    def __str__(self) -> str:
        return self.name or self.username

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session carries and every request compares: another password or generation ends it (Django flushes it then).

        Of a person whose sessions were never ended it is Django's own, so that sessions from before go on.
        """
        if not self.session_generation:
            return super()._get_session_auth_hash(secret=secret)
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


class Reason(models.TextChoices):
    """Why a person's condition changed (A4)."""

    CHOSEN = "chosen", _("status chosen")
    EXPIRED = "expired", _("the workspace fell silent")
    BACK = "back", _("the workspace is back")
    SIGNED_OUT = "signed_out", _("signed out")
    MEMBERSHIP = "membership", _("departments or languages changed")
    ACTIVE = "active", _("activated or deactivated")
    SETTINGS = "settings", _("settings of the account changed")


class OperatorChange(models.Model):
    """A person's condition from a moment on, until the next row (A4). Append-only, in the order of writing; see `history`.

    `is_online` is effectively online (A1, A2); departments and languages are lists of their ids.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", verbose_name=_("account"))
    operator = models.ForeignKey(Operator, models.PROTECT, related_name="changes", verbose_name=_("operator"))
    at = models.DateTimeField(_("at"))
    reason = models.CharField(_("what happened"), max_length=10, choices=Reason)
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


class SettingChange(models.Model):
    """One changed setting: who, when, from what, to what (M9). `dialogs` handles the rows that matter to running dialogs."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="setting_changes", verbose_name=_("account"))
    at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(Operator, models.PROTECT, null=True, related_name="+", verbose_name=_("changed by"))
    field = models.CharField(_("setting"), max_length=60)
    old = models.CharField(_("from"), max_length=1000, blank=True)
    new = models.CharField(_("to"), max_length=1000, blank=True)
    handled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("change of settings")
        verbose_name_plural = _("changes of settings")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["id"], name="setting_change_unhandled", condition=Q(handled_at=None))]

    def __str__(self) -> str:
        return f"{self.field}: {self.old} → {self.new}"

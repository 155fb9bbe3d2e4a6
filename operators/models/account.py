"""Accounts with their settings and their parts: departments, languages, contact fields."""

from typing import TYPE_CHECKING, Any

from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from operators.email_fields import AddressListField
from operators.text_fields import LineField, SentencesField
from operators.validators import origins, validate_addresses, validate_sites, validate_time_zone

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

LONGEST_TIME = 30 * 24 * 3600  # seconds; the ceiling of every time setting (interfaces.md)
MOST_DIALOGS = 10_000  # the highest limit of one operator's dialogs
MOST_VISIBLE = 500  # cards of one queue on an operator's page
SLUG = RegexValidator(r"\A[a-z0-9][a-z0-9-]{0,62}\Z", _("Use small letters, digits and hyphens, at most 63."))
LANGUAGE_CODE = RegexValidator(r"\A[a-z]{2,3}\Z", _("Use a language code of two or three small letters, such as ru."))


def seconds(verbose_name: "StrOrPromise", default: int, help_text: "StrOrPromise" = "") -> "models.PositiveIntegerField[Any, Any]":
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


def limit(verbose_name: "StrOrPromise", help_text: "StrOrPromise" = "") -> "models.PositiveIntegerField[Any, Any]":
    """A number of dialogs that Q5 bounds; 0 = no limit."""
    return models.PositiveIntegerField(verbose_name, default=0, help_text=help_text, validators=[MaxValueValidator(MOST_DIALOGS)])


def own_limit(verbose_name: "StrOrPromise", most: int) -> "models.PositiveIntegerField[Any, Any]":
    """An operator's own number instead of the account's (Q5); empty: the account's."""
    return models.PositiveIntegerField(verbose_name, null=True, blank=True, validators=[MaxValueValidator(most)])


class Account(models.Model):
    """A company using the system; every other row belongs to exactly one account."""

    slug = models.CharField(_("short name"), max_length=63, unique=True, validators=[SLUG])
    name = LineField(_("name"), max_length=120)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_time_zone])
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, editable=False)

    left_messages_email = AddressListField(
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
    name = LineField(_("name"), max_length=120)
    left_messages_email = AddressListField(
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
    offline_text = SentencesField(
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
    label = LineField(_("label"), max_length=60)
    requirement = models.CharField(_("asked"), max_length=10, choices=Requirement, default=Requirement.OPTIONAL)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("own contact field")
        verbose_name_plural = _("own contact fields")
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["account", "label"], name="contact_field_label_once")]

    def __str__(self) -> str:
        return self.label

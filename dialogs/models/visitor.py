"""Visitors, their devices and their visits."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from operators.email_fields import AddressField
from operators.models import Account

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
    # has a dialog, as actions.visitors.forget_visitors found
    is_kept = models.BooleanField(default=False, db_default=False, editable=False)

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
            # all three for actions.presence
            models.Index(fields=["visitor"], name="visit_alive", condition=Q(ended_at=None)),
            models.Index(fields=["process"], name="visit_of_process", condition=Q(ended_at=None)),
            models.Index(fields=["expires_at"], name="visit_unheld", condition=Q(ended_at=None, process=None)),
        ]

    def __str__(self) -> str:
        return self.page_url or self.key

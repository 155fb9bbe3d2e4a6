"""The outbox in the admin: what was sent to whom, what came of it, and a second chance by hand (M3)."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from notifications.models import DeliveryAttempt, EmailStatus, OutgoingEmail
from notifications.outgoing.delivery import CAN_TRY_AGAIN, try_again
from operators.admin import ReadOnlyAdmin, ReadOnlyInline
from operators.requests import operator_of
from webim_offline.foundation.numbers import whole_number

MOST_NAMED = 20


class AttemptInline(ReadOnlyInline):
    """The attempts to deliver one letter, below its page."""

    model = DeliveryAttempt
    verbose_name_plural = gettext_lazy("Attempts (the latest 100)")
    empty_text = gettext_lazy("No attempt yet.")
    fields = readonly_fields = ("at", "outcome", "detail")


@admin.register(OutgoingEmail)
class OutgoingEmailAdmin(ReadOnlyAdmin):
    """All letters of the reader's account; support staff see every account's."""

    list_display = ("recipient", "subject", "dialog_link", "status", "attempts", "last_error", "next_try_at", "created_at")
    list_select_related = ("dialog", "account")
    list_filter = ("status", "kind")
    date_hierarchy = "created_at"
    ordering = ("-pk",)
    search_fields = ("recipient", "dialog__number")
    search_help_text = gettext_lazy("A recipient, or the number of a dialog.")
    actions = ("try_again_now",)
    inlines = (AttemptInline,)
    readonly_fields = ("dialog_link",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[OutgoingEmail]:
        return super().get_queryset(request).defer("html")

    def search(
        self, request: HttpRequest, queryset: models.QuerySet[OutgoingEmail], term: str
    ) -> tuple[models.QuerySet[OutgoingEmail], bool]:
        number = whole_number(term.removeprefix("#"))
        found = models.Q(recipient__icontains=term) if number is None else models.Q(dialog__number=number)
        return queryset.filter(found), False

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        return self.for_reader(
            request,
            [
                (None, {"fields": ["recipient", "account", "dialog_link", "kind", "subject"]}),
                (
                    _("Delivery"),
                    {"fields": ["status", "last_error", "attempts", "next_try_at", "give_up_at", "created_at", "sent_at"]},
                ),
                (_("Letter"), {"fields": ["message_id", "text"]}),
            ],
        )

    @admin.display(description=gettext_lazy("dialog"), ordering="dialog__number")
    def dialog_link(self, email: OutgoingEmail) -> SafeString:
        page = reverse("admin:dialogs_dialog_change", args=[email.dialog_id])
        return format_html('<a href="{}">#{}</a>', page, email.dialog.number)

    @admin.action(description=gettext_lazy("Try again now"), permissions=["retry"])
    def try_again_now(self, request: HttpRequest, queryset: models.QuerySet[OutgoingEmail]) -> TemplateResponse | None:
        """Ask first: a letter of which nobody knows whether it was accepted may arrive a second time."""
        chosen = list(queryset.order_by("pk").values_list("pk", "status"))
        waiting = [pk for pk, status in chosen if status in CAN_TRY_AGAIN]
        if len(waiting) < len(chosen):
            count = len(chosen) - len(waiting)
            text = ngettext(
                "%(count)s letter was accepted or is being sent: an accepted letter is never sent again.",
                "%(count)s letters were accepted or are being sent: an accepted letter is never sent again.",
                count,
            )
            messages.error(request, text % {"count": count})
        if not waiting:
            return None
        if "confirmed" not in request.POST:
            return self._confirmation(request, queryset.filter(pk__in=waiting), len(waiting))
        count = try_again(waiting)
        for email in queryset.filter(pk__in=waiting):
            self.log_change(request, email, _("Tried again by hand."))
        text = ngettext("%(count)s letter is tried again now.", "%(count)s letters are tried again now.", count)
        messages.success(request, text % {"count": count})
        return None

    def _confirmation(self, request: HttpRequest, queryset: models.QuerySet[OutgoingEmail], count: int) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Try again now"),
            "opts": self.opts,
            "media": self.media,
            "count": count,
            "emails": queryset.select_related("dialog")[:MOST_NAMED],
            "more": max(0, count - MOST_NAMED),
            "maybe_twice": queryset.filter(status=EmailStatus.UNKNOWN).exists(),
            "ids": list(queryset.values_list("pk", flat=True)),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "notifications/try_again.html", context)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return operator_of(request).has_perm("notifications.change_outgoingemail")

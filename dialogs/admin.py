"""Visitors and dialogs in the admin: to look at, not to edit (X1, X2)."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import models
from django.db.models import functions
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_celery_beat.admin import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from dialogs.actions.conversation import bring_into_workspace
from dialogs.actions.errors import Refused
from dialogs.models import Delivery, Device, Dialog, DialogEvent, Message, MessageKind, StartState, State, Visitor
from dialogs.reading.evidence import start_sentence
from dialogs.reading.rights import person_of
from dialogs.reading.sentences import sentence_of
from dialogs.reading.system_messages import text_of
from dialogs.reading.timeline import timeline
from dialogs.rules.permissions import may_manage_account
from operators.admin import DepartmentAdmin, OwnRelatedFilter, ReadOnlyAdmin, ReadOnlyInline, whom
from operators.models import Department
from operators.requests import operator_of
from webim_offline.foundation.numbers import whole_number

# the schedule is the settings' (dialogs.beat): a page on which sweeps and letters can be switched off, or any task run, has no use
for _model in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(_model)


class MessageInline(ReadOnlyInline):
    model = Message
    verbose_name_plural = gettext_lazy("Messages (the latest 200)")
    empty_text = gettext_lazy("No messages.")
    most = 200
    newest_first = False
    fields = readonly_fields = ("when", "who", "words")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("author", "visitor")

    @admin.display(description=gettext_lazy("who"))
    def who(self, message: Message) -> str:
        if message.kind == MessageKind.OPERATOR:
            return whom(message.author, reader=self.reader)
        return str(message.visitor) if message.kind == MessageKind.VISITOR else str(message.get_kind_display())

    @admin.display(description=gettext_lazy("text"))
    def words(self, message: Message) -> str:
        return text_of(message.code, message.params) if message.kind == MessageKind.SYSTEM else message.text


class EventInline(ReadOnlyInline):
    model = DialogEvent
    verbose_name_plural = gettext_lazy("Events (the latest 200)")
    most = 200
    newest_first = False
    fields = readonly_fields = ("when", "kind", "who", "what")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("actor")

    @admin.display(description=gettext_lazy("who"))
    def who(self, event: DialogEvent) -> str:
        return whom(event.actor, reader=self.reader)

    @admin.display(description=gettext_lazy("what happened"))
    def what(self, event: DialogEvent) -> str:
        return sentence_of(event, self.reader)


class DeliveryInline(ReadOnlyInline):
    """The delivery ledger (B2)."""

    model = Delivery
    verbose_name_plural = gettext_lazy("Deliveries (the latest 100)")
    empty_text = gettext_lazy("Nothing was to be delivered.")
    newest_first = False
    fields = readonly_fields = ("queued_at", "recipient", "status", "detail", "updated_at")


class OwnDialogInline(ReadOnlyInline):
    """A visitor's dialogs."""

    model = Dialog
    verbose_name_plural = gettext_lazy("Dialogs (the latest 50)")
    most = 50
    fields = readonly_fields = ("link", "created_at", "start_state", "state")

    @admin.display(description=gettext_lazy("number"))
    def link(self, dialog: Dialog) -> SafeString:
        return format_html('<a href="{}">#{}</a>', reverse("admin:dialogs_dialog_change", args=[dialog.pk]), dialog.number)


class DeviceInline(ReadOnlyInline):
    """A visitor's phones (P7). Who knows a device's key or its token may speak for it: neither is shown whole."""

    model = Device
    verbose_name_plural = gettext_lazy("Devices with the app (the latest 20)")
    empty_text = gettext_lazy("None.")
    most = 20
    fields = readonly_fields = ("platform", "short_key", "short_token", "updated_at")

    @admin.display(description=gettext_lazy("device"))
    def short_key(self, device: Device) -> str:
        return f"{device.key[:8]}…"

    @admin.display(description=gettext_lazy("push token"))
    def short_token(self, device: Device) -> str:
        return f"{device.token[:6]}…" if device.token else _("none")


class NumberOrVisitor(ReadOnlyAdmin):
    """A search that looks for whole words where a table may hold millions of rows."""

    def visitors_called(self, term: str, prefix: str = "") -> models.Q:
        return (
            models.Q(**{f"{prefix}email__iexact": term})
            | models.Q(**{f"{prefix}phone": term})
            | models.Q(**{f"{prefix}name__icontains": term})
        )


@admin.register(Dialog)
class DialogAdmin(NumberOrVisitor):
    list_display = ("numbered", "visitor", "start_state", "current_state", "state", "email_only", "operator", "started")
    list_display_links = ("numbered",)
    list_select_related = ("visitor", "operator", "account")
    list_filter = (
        "start_state",
        "state",
        "email_only",
        ("department", OwnRelatedFilter),
        ("language", OwnRelatedFilter),
    )
    date_hierarchy = "created_at"
    search_fields = ("number", "visitor__name", "visitor__email", "visitor__phone")
    search_help_text = gettext_lazy("A number, or a visitor's name, email or phone.")
    actions = ("bring",)
    inlines = (MessageInline, EventInline, DeliveryInline)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # newest first, along an index: numbers within an account, else the order of storing
        return ("-pk",) if operator_of(request).is_support else ("-number",)

    def search(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> tuple[models.QuerySet[Any], bool]:
        digits = term.removeprefix("#")
        number = whole_number(digits)
        if number is None:
            return queryset.filter(self.visitors_called(term, "visitor__")), False
        found = models.Q(number=number)
        if digits == term:
            found |= models.Q(visitor__phone=term)
        return queryset.filter(found), False

    def get_fieldsets(self, request: HttpRequest, obj: Dialog | None = None) -> Any:
        return self.for_reader(
            request,
            [
                (None, {"fields": ["numbered", "account", "visitor_link", "department", "language", "continues"]}),
                (
                    _("State"),
                    {
                        "fields": [
                            "start_state",
                            "why_it_started_so",
                            "current_state",
                            "from_app",
                            "always_online",
                            "state",
                            "email_only",
                            "in_workspace",
                            "operator",
                        ]
                    },
                ),
                (
                    _("Times"),
                    {"fields": ["created_at", "waiting_since", "last_message_at", "picked_up_at", "away_since", "closed_at"]},
                ),
                (_("Page"), {"fields": ["page_title", "page_url"]}),
            ],
        )

    readonly_fields = ("numbered", "visitor_link", "why_it_started_so", "current_state")

    class Media:
        css = {"all": ["dialogs/admin.css"]}

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """B3: the dialog's page says how it came where it is; `before` in the address asks for what happened before a revision."""
        dialog: Any = self.get_object(request, unquote(object_id)) if object_id else None
        before = whole_number(request.GET.get("before", ""))
        told = {"timeline": timeline(dialog, operator_of(request), before=before), "is_older": before is not None} if dialog else {}
        return super().changeform_view(request, object_id, form_url, {**told, **(extra_context or {})})

    @admin.display(description=gettext_lazy("number"), ordering="number")
    def numbered(self, dialog: Dialog) -> str:
        return f"#{dialog.number}"

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def started(self, dialog: Dialog) -> str:
        return date_format(localtime(dialog.created_at), "SHORT_DATETIME_FORMAT")

    @admin.display(description=gettext_lazy("visitor"))
    def visitor_link(self, dialog: Dialog) -> SafeString:
        page = reverse("admin:dialogs_visitor_change", args=[dialog.visitor_id])
        return format_html('<a href="{}">{}</a>', page, dialog.visitor)

    @admin.display(description=gettext_lazy("current state"), ordering="is_offline")
    def current_state(self, dialog: Dialog) -> str:
        return str(StartState.OFFLINE.label if dialog.is_offline else StartState.ONLINE.label)

    @admin.display(description=gettext_lazy("why it started so"))
    def why_it_started_so(self, dialog: Dialog) -> str:
        """S3."""
        return start_sentence(dialog)

    @admin.action(description=gettext_lazy("Bring into the workspace"), permissions=["bring"])
    def bring(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """M8: an email-only dialog enters the workspace by hand."""
        brought, refused = 0, []
        for dialog in queryset.filter(in_workspace=False):
            try:
                bring_into_workspace(dialog.pk, actor=operator_of(request))
            except Refused as refusal:
                refused.append(f"#{dialog.number}: {refusal}")
            else:
                self.log_change(request, dialog, [{"changed": {"fields": ["in the workspace"]}}])
                brought += 1
        for text in refused:
            messages.error(request, text)
        if brought:
            text = ngettext("%(count)s dialog is in the workspace now.", "%(count)s dialogs are in the workspace now.", brought)
            messages.success(request, text % {"count": brought})
        elif not refused:
            messages.info(request, _("These dialogs are in the workspace already."))

    def has_bring_permission(self, request: HttpRequest) -> bool:
        reader = operator_of(request)
        return bool(may_manage_account(person_of(reader, with_routes=False), reader.account_id))


@admin.register(Visitor)
class VisitorAdmin(NumberOrVisitor):
    """Who visitors are, by what they told; the digest of their token is shown to nobody (X2)."""

    list_display = ("called", "email", "phone", "is_present", "created_at")
    list_select_related = ("account",)
    list_filter = ("is_present",)
    search_fields = ("name", "email", "phone")
    ordering = ("-pk",)
    inlines = (OwnDialogInline, DeviceInline)
    readonly_fields = ("called", "own_answers")

    def get_fieldsets(self, request: HttpRequest, obj: Visitor | None = None) -> Any:
        fields = ["called", "account", "email", "phone", "own_answers", "is_present", "left_at", "created_at"]
        return self.for_reader(request, [(None, {"fields": fields})])

    def search(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> tuple[models.QuerySet[Any], bool]:
        return queryset.filter(self.visitors_called(term)), False

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def called(self, visitor: Visitor) -> str:
        return str(visitor)

    @admin.display(description=gettext_lazy("own fields"))
    def own_answers(self, visitor: Visitor) -> str:
        return "\n".join(f"{label}: {answer}" for label, answer in visitor.own_fields.items())


admin.site.unregister(Department)


@admin.register(Department)
class DepartmentWithDialogsAdmin(DepartmentAdmin):
    """The department's page of `operators`, which knows nothing of dialogs; here archiving tells how many wait there (A5)."""

    @admin.action(description=gettext_lazy("Archive"), permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        chosen = list(queryset.filter(archived_at=None).values_list("pk", flat=True))
        answer = super().archive(request, queryset)
        for department in archived_with_waiting(chosen).filter(dialogs_waiting__gt=0):
            text = ngettext(
                "%(count)s dialog still waits in “%(department)s”: supervisors see it.",
                "%(count)s dialogs still wait in “%(department)s”: supervisors see them.",
                department.dialogs_waiting,
            )
            messages.warning(request, text % {"count": department.dialogs_waiting, "department": department})
        return answer


def archived_with_waiting(chosen: list[int]) -> models.QuerySet[Any]:
    """Those of the chosen departments that are archived, with how many dialogs there nobody has begun to answer."""
    waits = Dialog.objects.filter(department=models.OuterRef("pk"), state=State.QUEUE, in_workspace=True).order_by()
    count = waits.values("department").annotate(count=models.Count("pk")).values("count")
    rows = Department.objects.filter(pk__in=chosen, archived_at__isnull=False)
    return rows.annotate(dialogs_waiting=functions.Coalesce(models.Subquery(count), 0))

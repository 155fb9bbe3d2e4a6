"""Rows that are archived rather than deleted (A5), and the page that asks for the actor's password before an action on rows."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from operators import security_events
from operators.actions.parts import archive_part, is_mentioned, restore_part
from operators.admin.scope import AccountScopedAdmin
from operators.authentication import confirmation
from operators.authentication.confirmation import ConfirmedForm
from operators.models import Account
from operators.requests import operator_of
from webim_offline.foundation.logs.security import Event

MOST_NAMED = 20  # rows on the page that asks for the password


class Archiving(AccountScopedAdmin):
    """A5: what anything mentions is archived; only what nothing mentions can be deleted."""

    actions: tuple[str, ...] | None = ("archive", "restore")
    asks_password = False  # before rows are archived or brought back

    @admin.action(description=gettext_lazy("Archive"), permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        if self.asks_password and (page := self.password_page(request, queryset, _("Archive"))):
            return page
        rows = queryset.filter(archived_at=None)
        if done := self._each(request, rows, partial(self.archive_one, request), "archived"):
            messages.success(request, ngettext("%(count)s row archived.", "%(count)s rows archived.", done) % {"count": done})
        return None

    @admin.action(description=gettext_lazy("Bring back from the archive"), permissions=["archive"])
    def restore(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        if self.asks_password and (page := self.password_page(request, queryset, _("Bring back from the archive"))):
            return page
        rows = queryset.exclude(archived_at=None)
        if done := self._each(request, rows, partial(self.restore_one, request), "archived"):
            messages.success(
                request, ngettext("%(count)s row brought back.", "%(count)s rows brought back.", done) % {"count": done}
            )
        return None

    def password_page(self, request: HttpRequest, rows: models.QuerySet[Any], title: str) -> HttpResponse | None:
        """The page that asks for the actor's password before an action on `rows`; None while it stands, or is given right now."""
        if confirmation.stands(request):
            return None
        is_given = confirmation.FIELD in request.POST
        form = confirmation.PasswordForm(request, request.POST if is_given else None)
        if is_given and form.is_valid():
            return None
        if not is_given:
            confirmation.asked(request)
        count = rows.count()
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "rows": rows[:MOST_NAMED],
            "more": max(0, count - MOST_NAMED),
            "ids": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "action": request.POST.getlist("action")[-1],
            "select_across": request.POST.get("select_across", "0"),
            "password_form": form,
            "list_page": request.get_full_path(),
        }
        return confirmation.with_wait(TemplateResponse(request, "admin/confirm_action.html", context), form)

    def _each(self, request: HttpRequest, rows: models.QuerySet[Any], act: Callable[[Any], None], changed: str) -> int:
        """Do `act`, which changes the field `changed`, to each row on its own; returns how many were done.

        Those it refuses are named with the reason.
        """
        done = 0
        for row in rows:
            try:
                act(row)
            except ValidationError as refusal:
                messages.error(request, f"{row}: {' '.join(refusal.messages)}")
            else:
                self.log_change(request, row, [{"changed": {"fields": [changed]}}])
                done += 1
        return done

    def archive_one(self, request: HttpRequest, row: Any) -> None:
        archive_part(row, actor=operator_of(request))

    def restore_one(self, request: HttpRequest, row: Any) -> None:
        restore_part(row, actor=operator_of(request))

    def tell(self, request: HttpRequest, account: Account, form: ConfirmedForm) -> None:
        """The security log: which settings of the account were changed that ask for a confirmation."""
        for name in sorted(form.confirmed_fields.intersection(form.changed_data)):
            security_events.done(request, Event.SETTING, to=account, reason=name)

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        if not allowed or obj is None:
            return allowed
        if not hasattr(obj, "_may_go"):  # asked several times a page
            obj._may_go = not is_mentioned(obj)
        return bool(obj._may_go)

"""The operator's page: the left panel, one open dialog, the visitor; page and fragment are one template (Q1 to Q6, Q9)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dialogs import queues
from dialogs.actions import assignment, conversation
from dialogs.actions.errors import NeedsConfirmation, Refused
from dialogs.live import tickets
from dialogs.models import LONGEST_KEY, LONGEST_TEXT, Dialog, Message
from dialogs.timeline import timeline
from operators import actions as people
from operators.models import Operator, Status
from webim_offline.database_clock import database_now

SEEN_AT_MOST_EVERY = timedelta(seconds=5)
MOST_MESSAGES = 300  # of one dialog on the page; the newest
MOST_MINE = 200

TITLES = {
    queues.Section.WAITING: gettext_lazy("Waiting for a reply"),
    queues.Section.MINE: gettext_lazy("In dialog with you"),
    queues.Section.GENERAL: gettext_lazy("General queue"),
    queues.Section.OFFLINE: gettext_lazy("Offline inquiries"),
    queues.Section.OTHERS: gettext_lazy("Other operators"),
}


@dataclass(frozen=True)
class Panel:
    """One section as the page shows it: its cards, how many dialogs it holds, and why some are not shown."""

    key: str
    title: str
    dialogs: list[Dialog]
    count: int
    note: str = ""


def operators_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Operators and supervisors only; every request of theirs is a sign of life (A2)."""

    @login_required
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        operator = request.user
        if not isinstance(operator, Operator) or operator.account_id is None:
            return redirect("admin:index")
        now = database_now()
        if operator.last_seen_at is None or now - operator.last_seen_at > SEEN_AT_MOST_EVERY:
            people.seen(operator, now)
        return view(request, *args, **kwargs)

    return guarded


# ----- the left panel -----


def panels(operator: Operator) -> list[Panel]:
    """The sections of the operator's left panel, a constant number of queries whatever they hold."""
    parts = queues.in_own_parts(operator)
    mine = list(_cards(queues.held(operator))[:MOST_MINE])
    found = [
        _held_panel(queues.Section.WAITING, mine, operator),
        _held_panel(queues.Section.MINE, mine, operator),
        _queue_panel(queues.Section.GENERAL, operator, parts),
        _queue_panel(queues.Section.OFFLINE, operator, parts),
    ]
    if operator.is_supervisor:
        rows = queues.others(operator)
        shown = list(_cards(rows)[: queues.MOST_FOR_SUPERVISOR])
        found.append(_panel(queues.Section.OTHERS, shown, rows.count(), queues.MOST_FOR_SUPERVISOR))
    return found


def _held_panel(section: queues.Section, mine: list[Dialog], operator: Operator) -> Panel:
    shown = [dialog for dialog in mine if _section(dialog, operator) == section]
    return _panel(section, shown, len(shown), MOST_MINE)


def _queue_panel(section: queues.Section, operator: Operator, parts: Q) -> Panel:
    is_offline = section == queues.Section.OFFLINE
    limit = operator.limit("visible_offline_dialogs" if is_offline else "visible_online_dialogs")
    if operator.is_supervisor or not limit:
        limit = queues.MOST_FOR_SUPERVISOR
    rows = queues.queued(operator, is_offline=is_offline, parts=parts)
    return _panel(section, list(_cards(rows)[:limit]), rows.count(), limit)


def _panel(section: queues.Section, shown: list[Dialog], count: int, limit: int) -> Panel:
    note = ""
    if count > len(shown):
        note = _("And %(more)s more. The %(shown)s oldest are shown: that is the limit of this section.") % {
            "more": count - len(shown),
            "shown": limit,
        }
    return Panel(section.value, str(TITLES[section]), shown, count, note)


def _cards(rows: QuerySet[Dialog]) -> QuerySet[Dialog]:
    return rows.select_related("visitor", "department", "language", "operator")


def _section(dialog: Dialog, operator: Operator) -> queues.Section | None:
    return queues.section_of(
        state=dialog.state,
        holder_id=dialog.operator_id,
        is_offline=dialog.is_offline,
        in_workspace=dialog.in_workspace,
        viewer_id=operator.pk,
    )


def _list_context(operator: Operator, current: int | None) -> dict[str, Any]:
    departments = operator.departments.aggregate(own=Count("pk"))["own"]
    return {
        "panels": panels(operator),
        "current": current,
        "shows_departments": operator.is_supervisor or departments != 1,
        "usual_language": operator.account.languages.filter(archived_at=None).values_list("pk", flat=True).first(),
    }


# ----- one dialog -----


def _visible_dialog(operator: Operator, number: int) -> Dialog:
    dialog = (
        queues.visible_to(operator)
        .select_related("visitor", "department", "language", "operator", "account", "continues")
        .filter(number=number)
        .first()
    )
    if dialog is None:
        raise Http404(_("There is no such dialog, or it is not in your departments and languages."))
    return dialog


def _dialog_context(operator: Operator, dialog: Dialog | None) -> dict[str, Any]:
    if dialog is None:
        return {"dialog": None, "ticket": _ticket(operator, None)}
    newest = dialog.messages.select_related("author").order_by("-revision", "-pk")[: MOST_MESSAGES + 1]
    messages = list(newest)[::-1]
    return {
        "dialog": dialog,
        "messages_cut": len(messages) > MOST_MESSAGES,
        "messages_shown": _with_heads(messages[-MOST_MESSAGES:]),
        "mode": _mode(operator, dialog),
        "may_close": dialog.is_open
        and (dialog.operator_id == operator.pk or (operator.is_supervisor and bool(dialog.operator_id))),
        "timeline": timeline(dialog, operator),
        "deliveries": list(dialog.deliveries.order_by("pk")[:20]),
        "longest_text": LONGEST_TEXT,
        "ticket": _ticket(operator, dialog),
    }


def _mode(operator: Operator, dialog: Dialog) -> str:
    if not dialog.is_open:
        return "closed"
    if dialog.operator_id is None:
        return "free"
    return "mine" if dialog.operator_id == operator.pk else "others"


def _with_heads(messages: list[Message]) -> list[tuple[Message, bool]]:
    """Each message, and whether it shows its author: messages of one author within two minutes share one head."""
    pairs = []
    before: Message | None = None
    for message in messages:
        same = (
            before is not None
            and (before.kind, before.author_id) == (message.kind, message.author_id)
            and message.at - before.at < timedelta(minutes=2)
        )
        pairs.append((message, not same))
        before = message
    return pairs


def _ticket(operator: Operator, dialog: Dialog | None) -> str:
    return tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(operator, dialog.pk if dialog else None))


# ----- pages and fragments -----


@require_GET
@operators_page
def workspace(request: HttpRequest, number: int | None = None) -> HttpResponse:
    """The whole page, with one dialog open when the address names it. Reading is not picking up."""
    operator = request.user
    dialog = _visible_dialog(operator, number) if number is not None else None
    context = {
        **_list_context(operator, number),
        **_dialog_context(operator, dialog),
        "statuses": _statuses(operator),
        "now": database_now(),
        "words": _words(operator),
        "page_languages": [("en", "English"), ("ru", "Русский")],
    }
    return render(request, "dialogs/workspace.html", context)


@require_GET
@operators_page
def panel(request: HttpRequest) -> HttpResponse:
    """The left panel alone, for a live update."""
    current = _number(request.GET.get("open", ""))
    return _fragment(render(request, "dialogs/_panel.html", _list_context(request.user, current)))


@require_GET
@operators_page
def dialog_fragment(request: HttpRequest, number: int) -> HttpResponse:
    """The open dialog and its visitor alone, for a live update."""
    return _dialog_answer(request, _visible_dialog(request.user, number))


@require_GET
@operators_page
def history(request: HttpRequest, number: int) -> HttpResponse:
    """How a dialog came where it is, from its beginning on or before a revision: pages of what the dialog's own leaves out."""
    dialog = _visible_dialog(request.user, number)
    before = _number(request.GET.get("before", ""))
    told = timeline(dialog, request.user, before=before)
    return render(request, "dialogs/history.html", {"dialog": dialog, "timeline": told, "is_older": before is not None})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _dialog_answer(request: HttpRequest, dialog: Dialog) -> HttpResponse:
    return _fragment(render(request, "dialogs/_dialog_and_visitor.html", _dialog_context(request.user, dialog)))


def _fragment(response: HttpResponse) -> HttpResponse:
    response["X-Now"] = f"{database_now().timestamp():.3f}"
    return response


@require_GET
@operators_page
def ticket(request: HttpRequest) -> HttpResponse:
    """A fresh ticket for the live app (X5): this request's login, account and right to the dialog are checked again."""
    current = _number(request.GET.get("open", ""))
    dialog = _visible_dialog(request.user, current) if current is not None else None
    return JsonResponse({"ticket": _ticket(request.user, dialog)})


# ----- what an operator does -----


def _acts(act: Callable[[HttpRequest, Dialog], None]) -> Callable[..., HttpResponse]:
    """A POST on one dialog: the action, then the dialog as it stands; a refusal is a sentence (409), text a 400."""

    @require_POST
    @operators_page
    @wraps(act)
    def view(request: HttpRequest, number: int) -> HttpResponse:
        live = request.headers.get("X-Requested-With") == "fetch"
        dialog = _visible_dialog(request.user, number)
        try:
            act(request, dialog)
        except (Refused, ValidationError) as refusal:
            message = " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)
            status = 400 if isinstance(refusal, ValidationError) else 409
            asks = isinstance(refusal, NeedsConfirmation)
            if live:
                return JsonResponse({"error": message, "asks": asks}, status=status)
            context = {"refusal": message, "dialog": dialog, "asks": asks, "again": request.POST.items()}
            return render(request, "dialogs/refused.html", context, status=status)
        if not live:
            return redirect("dialog", number=number)
        return _dialog_answer(request, _visible_dialog(request.user, number))

    return view


@_acts
def take(request: HttpRequest, dialog: Dialog) -> None:
    """Take a waiting dialog (Q6); a supervisor takes one over from `instead_of`, whom the page named."""
    instead_of = _number(request.POST.get("instead_of", ""))
    assignment.take(dialog.pk, request.user, instead_of=instead_of, confirmed=_confirmed(request))


@_acts
def transfer(request: HttpRequest, dialog: Dialog) -> None:
    """Hand a dialog on (Q10). `to` is `operator-<id>`, `department-<id>` or `queue`."""
    kind, _dash, number = request.POST.get("to", "").partition("-")
    target = _number(number)
    if kind == "queue":
        assignment.return_to_queue(dialog.pk, request.user)
    elif kind == "operator" and target is not None:
        assignment.transfer_to_operator(dialog.pk, request.user, target, confirmed=_confirmed(request))
    elif kind == "department" and target is not None:
        assignment.transfer_to_department(dialog.pk, request.user, target)
    else:
        raise ValidationError(_("Choose who is to have the dialog."))


def _confirmed(request: HttpRequest) -> bool:
    return request.POST.get("confirmed") == "1"


@_acts
def answer(request: HttpRequest, dialog: Dialog) -> None:
    """Send an answer; the key made by the page makes it happen once (B1)."""
    text = request.POST.get("text", "").replace("\r\n", "\n").strip()
    key = request.POST.get("key", "")
    if not text:
        raise ValidationError(_("Write the answer first."))
    if len(text) > LONGEST_TEXT:
        raise ValidationError(_("The answer is too long: at most %(count)s characters.") % {"count": LONGEST_TEXT})
    if "\x00" in text or not key or len(key) > LONGEST_KEY:
        raise ValidationError(_("This page is out of date. Reload it and send again."))
    conversation.answer(dialog.pk, request.user, text, key=key, confirmed=_confirmed(request))


@_acts
def close(request: HttpRequest, dialog: Dialog) -> None:
    """Close a dialog (Q9)."""
    conversation.close_by_operator(dialog.pk, request.user)


@require_POST
@operators_page
def status(request: HttpRequest) -> HttpResponse:
    """Choose one's status (A1)."""
    try:
        people.set_status(request.user, request.POST.get("status", ""))
    except ValidationError as refusal:
        return JsonResponse({"error": " ".join(refusal.messages)}, status=400)
    if request.headers.get("X-Requested-With") == "fetch":
        return JsonResponse({"status": request.user.status})
    return redirect("workspace")


def _statuses(operator: Operator) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """The choices of the status control, grouped: («», online and invisible), (Break, reasons), («», offline)."""
    choice = {value: (value, str(label), value == operator.status) for value, label in Status.choices}
    breaks = [choice[s.value] for s in Status if s.name.startswith("BREAK_")]
    return [
        ("", [choice[Status.ONLINE], choice[Status.INVISIBLE]]),
        (_("Break"), breaks),
        ("", [choice[Status.OFFLINE]]),
    ]


def _words(operator: Operator) -> dict[str, Any]:
    """What the page's script says, in the page's language."""
    return {
        "workspace": _("Workspace"),
        "hour": _("h"),
        "minute": _("min"),
        "sending": _("Sending…"),
        "notSent": _("Not sent."),
        "again": _("Send again"),
        "isYours": _("Dialog #%s is yours"),
        "closed": _("Dialog #%s is closed"),
        "took": _("Somebody else has it now"),
        "loadFailed": _("Could not load."),
        "tryAgain": _("Try again"),
        "newBelow": _("New messages below"),
        "statusFailed": _("The status was not changed."),
        "signedOut": _("You are signed out."),
        "name": operator.name,
    }


urlpatterns = [
    path("workspace/", workspace, name="workspace"),
    path("workspace/panel/", panel, name="workspace-panel"),
    path("workspace/ticket/", ticket, name="workspace-ticket"),
    path("workspace/status/", status, name="workspace-status"),
    path("workspace/<int:number>/", workspace, name="dialog"),
    path("workspace/<int:number>/fragment/", dialog_fragment, name="dialog-fragment"),
    path("workspace/<int:number>/history/", history, name="dialog-history"),
    path("workspace/<int:number>/take/", take, name="dialog-take"),
    path("workspace/<int:number>/answer/", answer, name="dialog-answer"),
    path("workspace/<int:number>/close/", close, name="dialog-close"),
    path("workspace/<int:number>/transfer/", transfer, name="dialog-transfer"),
]

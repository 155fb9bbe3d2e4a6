"""One dialog as the workspace shows it: messages, what the reader may do with it, its visitor and its history (Q2, Q6, B3)."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dialogs import archive
from dialogs.live import tickets
from dialogs.models import LONGEST_TEXT, Dialog, Message, State
from dialogs.timeline import timeline
from operators.models import Operator
from webim_offline.database_clock import database_now

MOST_MESSAGES = 300  # of one dialog on the page; the newest


def dialog_context(operator: Operator, dialog: Dialog | None) -> dict[str, Any]:
    """What `_dialog_and_visitor.html` needs; without a dialog, what the empty page does."""
    if dialog is None:
        return {"dialog": None, "ticket": ticket_for(operator, None)}
    newest = dialog.messages.select_related("author").order_by("-revision", "-pk")[: MOST_MESSAGES + 1]
    messages = list(newest)[::-1]
    return {
        "dialog": dialog,
        "messages_cut": len(messages) > MOST_MESSAGES,
        "messages_shown": _with_heads(messages[-MOST_MESSAGES:]),
        "mode": _mode(operator, dialog),
        "may_close": dialog.is_open
        and (dialog.operator_id == operator.pk or (operator.is_supervisor and bool(dialog.operator_id))),
        "may_transfer": may_transfer(operator, dialog),
        "timeline": timeline(dialog, operator),
        "earlier": archive.earlier(dialog, operator),
        "deliveries": list(dialog.deliveries.order_by("pk")[:20]),
        "longest_text": LONGEST_TEXT,
        "ticket": ticket_for(operator, dialog),
    }


def may_transfer(operator: Operator, dialog: Dialog) -> bool:
    """Q10: whoever has an open dialog hands it on; a supervisor hands out every one."""
    return dialog.is_open and dialog.in_workspace and (operator.is_supervisor or dialog.operator_id == operator.pk)


def _mode(operator: Operator, dialog: Dialog) -> str:
    """What stands below the messages: the reply for `mine`; else how to come to it, or why not.

    An assigned dialog is taken first, though an answer would pick it up as well: its time to be taken runs.
    """
    if not dialog.is_open:
        return "closed"
    if dialog.operator_id is None:
        return "free"
    if dialog.operator_id != operator.pk:
        return "others"
    return "assigned" if dialog.state == State.QUEUE else "mine"


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


def ticket_for(operator: Operator, dialog: Dialog | None) -> str:
    """A ticket of the live app for this workspace and the dialog open in it (X5)."""
    return tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(operator, dialog.pk if dialog else None))


def dialog_answer(request: HttpRequest, dialog: Dialog | None) -> HttpResponse:
    """The open dialog and its visitor alone; without one, that none is open."""
    return fragment(render(request, "dialogs/_dialog_and_visitor.html", dialog_context(request.user, dialog)))


def fragment(response: HttpResponse) -> HttpResponse:
    """A part of a page, with the server's clock for the page's timers."""
    response["X-Now"] = f"{database_now().timestamp():.3f}"
    return response

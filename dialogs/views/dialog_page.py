"""One dialog as the workspace shows it: messages, what the reader may do with it, its visitor and its history (Q2, Q6, B3)."""

import secrets
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render

from dialogs.live import tickets
from dialogs.models import LONGEST_TEXT, Delivery, Dialog, Message, State
from dialogs.reading import archive
from dialogs.reading.rights import acting_person, facts_of
from dialogs.reading.timeline import newest_events, timeline
from dialogs.rules.permissions import may_close, may_take, may_take_over, may_transfer
from operators.models import Operator
from operators.requests import OperatorRequest
from webim_offline.foundation.database.prepared import find_together, prepared
from webim_offline.foundation.steady_clock import steady_now

MOST_MESSAGES = 300  # of one dialog on the page; the newest
MOST_NEW = 50  # messages that come back after an answer
MOST_DELIVERIES = 20  # of one dialog's letters; the oldest


def dialog_context(operator: Operator, dialog: Dialog | None) -> dict[str, Any]:
    """What `_dialog_and_visitor.html` needs; without a dialog, what the empty page does."""
    if dialog is None:
        return {"dialog": None, "ticket": ticket_for(operator, None)}
    person, facts = acting_person(operator, dialog), facts_of(dialog)
    newest, events, earlier, deliveries = find_together(
        _newest_messages.asked(dialog.pk),
        newest_events.asked(dialog.pk),
        archive.earlier(dialog, operator),
        _deliveries.asked(dialog.pk),
    )
    messages = newest[::-1]
    return {
        "dialog": dialog,
        "messages_cut": len(messages) > MOST_MESSAGES,
        "messages_shown": _with_heads(messages[-MOST_MESSAGES:]),
        "mode": _mode(operator, dialog),
        "may_take": may_take(person, facts) or may_take_over(person, facts),
        "may_close": may_close(person, facts),
        "may_transfer": may_transfer(person, facts),
        "timeline": timeline(dialog, operator, newest=events),
        "earlier": earlier,
        "deliveries": deliveries,
        "longest_text": LONGEST_TEXT,
        "ticket": ticket_for(operator, dialog),
        "answer_key": secrets.token_urlsafe(18),  # the answer that is written on this page is sent once, however often (B1)
    }


@prepared
def _newest_messages(dialog_id: int) -> QuerySet[Message]:
    return Message.objects.filter(dialog=dialog_id).select_related("author").order_by("-revision", "-pk")[: MOST_MESSAGES + 1]


@prepared
def _deliveries(dialog_id: int) -> QuerySet[Delivery]:
    return Delivery.objects.filter(dialog=dialog_id).order_by("pk")[:MOST_DELIVERIES]


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


def dialog_answer(request: OperatorRequest, dialog: Dialog | None) -> HttpResponse:
    """The open dialog and its visitor alone; without one, that none is open."""
    context = dialog_context(request.user, dialog)
    return fragment(request, render(request, "dialogs/_dialog_and_visitor.html", context))


def log_answer(request: OperatorRequest, dialog: Dialog, after: int) -> HttpResponse | None:
    """The log of a dialog behind the revision `after`; None where so much has come since that the page had better be read anew."""
    newest = _newest_from(dialog.pk, after)  # the one before tells who has a head of their own
    if len(newest) > MOST_NEW:
        return None
    shown = [pair for pair in _with_heads(newest[::-1]) if pair[0].revision > after]
    return fragment(request, render(request, "dialogs/_log.html", {"dialog": dialog, "messages_shown": shown}))


@prepared
def _newest_from(dialog_id: int, revision: int) -> QuerySet[Message]:
    rows = Message.objects.filter(dialog=dialog_id, revision__gte=revision).select_related("author")
    return rows.order_by("-revision", "-pk")[: MOST_NEW + 1]


def fragment(request: OperatorRequest, response: HttpResponse) -> HttpResponse:
    """A part of a page, with the server's clock for the page's timers."""
    response["X-Now"] = f"{request.asked_at.timestamp() + steady_now() - request.begun:.3f}"
    return response

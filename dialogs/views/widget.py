"""The widget's script and styles, and the addresses of its API (W1)."""

import json

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from dialogs.views import visitor_api
from dialogs.views.scripts import JAVASCRIPT, public, source
from operators.models import SLUG, Account

FRESH = 300  # seconds a browser keeps the script of a known account
FRESH_UNKNOWN = 30


def _literal(value: object) -> str:
    """A JavaScript literal that no text can break out of."""
    return json.dumps(value).replace("<", "\\u003c")


def _is_served(slug: str) -> bool:
    return bool(SLUG.regex.match(slug)) and Account.objects.filter(slug=slug, archived_at=None).exists()


@require_safe
@gzip_page
def script(request: HttpRequest, slug: str) -> HttpResponse:
    """The one script of a customer's page. An unknown or archived account's says so on the console and does nothing."""
    if not _is_served(slug):
        warning = f"webim_offline: there is no account {slug[:63]!r}; the widget is not shown."
        return public(request, f"console.warn({_literal(warning)});\n", JAVASCRIPT, FRESH_UNKNOWN)
    config = _literal({"account": slug, "css": source("dialogs/widget.css")})
    return public(request, f"{source('dialogs/widget.js').rstrip()}({config});\n", JAVASCRIPT, FRESH)


@require_safe
@gzip_page
def styles(request: HttpRequest) -> HttpResponse:
    """The same styles as a sheet, for browsers without adoptedStyleSheets."""
    return public(request, source("dialogs/widget.css"), "text/css; charset=utf-8", FRESH)


urlpatterns = [
    path("widget/<str:slug>.js", script, name="widget-script"),
    path("widget/widget.css", styles, name="widget-styles"),
    path("widget/api/session", visitor_api.SessionView.as_view(), name="visitor-session"),
    path("widget/api/ticket", visitor_api.TicketView.as_view(), name="visitor-ticket"),
    path("widget/api/conversation", visitor_api.ConversationView.as_view(), name="visitor-conversation"),
    path("widget/api/messages", visitor_api.MessagesView.as_view(), name="visitor-messages"),
    path("widget/api/contacts", visitor_api.ContactsView.as_view(), name="visitor-contacts"),
    path("widget/api/end", visitor_api.EndView.as_view(), name="visitor-end"),
]

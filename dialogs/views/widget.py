"""The widget's two scripts and their styles, and the addresses of its API (W1; decision 0026)."""

import json
import re

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe

from dialogs.views import visitor_api
from dialogs.views.scripts import JAVASCRIPT, public, script_text, styles_text, version_of
from operators.models import SLUG, Account

# The number of the contract between the two parts: what the window takes from the first part, by which names, and what it means
# (static/dialogs/widget/contract.js). Raise it with every change of that.
CONTRACT = 1
FRESH = "max-age=300"  # as long as a browser keeps the script of a known account
FRESH_UNKNOWN = "max-age=30"
FOR_GOOD = "max-age=31536000, immutable"


def _literal(value: object) -> str:
    """A JavaScript literal that no text can break out of."""
    return json.dumps(value).replace("<", "\\u003c")


def _is_served(slug: str) -> bool:
    return bool(re.match(SLUG.regex, slug)) and Account.objects.filter(slug=slug, archived_at=None).exists()


def first_part(**config: str) -> str:
    """The first part, called: presence, the button, and what brings the window."""
    return f"{script_text('widget')}({_literal({'css': styles_text('widget.css'), 'window': _window_name()} | config)});\n"


def _second() -> str:
    """The window. The element that loads it holds what takes it over."""
    config = _literal({"css": styles_text("window.css")})
    return f"document.currentScript.webimOffline.take({script_text('window')},{config});\n"


def _replacement() -> str:
    """Both parts, for a page whose first part we do not speak to: that one makes way, and hands over what it knows of the page."""
    config = f"{{...{_literal({'css': styles_text('widget.css'), 'window': _window_name(), 'partCss': styles_text('window.css')})}"
    first = f"{script_text('widget')}({config},account:s.dataset.account,opens,part:{script_text('window')}}})"
    return f"(s=>{{const opens=s.webimOffline.retire();{first}}})(document.currentScript);\n"


def _window_name() -> str:
    """What stands for the window in its address: another contract, or another window, has another name."""
    return f"{CONTRACT}-{version_of(script_text('window') + styles_text('window.css'))}"


@require_safe
def script(request: HttpRequest, slug: str) -> HttpResponse:
    """The one script of a customer's page. An unknown or archived account's says so on the console and does nothing."""
    if not _is_served(slug):
        warning = f"webim_offline: there is no account {slug[:63]!r}; the widget is not shown."
        return public(request, f"console.warn({_literal(warning)});\n", JAVASCRIPT, FRESH_UNKNOWN)
    return public(request, first_part(account=slug), JAVASCRIPT, FRESH)


@require_safe
def window(request: HttpRequest, contract: int, version: str) -> HttpResponse:
    """The window. Pages that were loaded before a release get what works with them, whatever version they ask for."""
    if contract != CONTRACT:
        return public(request, _replacement(), JAVASCRIPT, FRESH)
    is_current = f"{contract}-{version}" == _window_name()
    return public(request, _second(), JAVASCRIPT, FOR_GOOD if is_current else FRESH)


@require_safe
def styles(request: HttpRequest, name: str) -> HttpResponse:
    """The same styles as a sheet, for browsers without adoptedStyleSheets."""
    return public(request, styles_text(f"{name}.css"), "text/css; charset=utf-8", FRESH)


urlpatterns = [
    path("widget/<str:slug>.js", script, name="widget-script"),
    path("widget/window/<int:contract>-<slug:version>.js", window, name="widget-window"),
    path("widget/widget.css", styles, {"name": "widget"}, name="widget-styles"),
    path("widget/window.css", styles, {"name": "window"}, name="window-styles"),
    path("widget/api/session", visitor_api.SessionView.as_view(), name="visitor-session"),
    path("widget/api/ticket", visitor_api.TicketView.as_view(), name="visitor-ticket"),
    path("widget/api/conversation", visitor_api.ConversationView.as_view(), name="visitor-conversation"),
    path("widget/api/messages", visitor_api.MessagesView.as_view(), name="visitor-messages"),
    path("widget/api/contacts", visitor_api.ContactsView.as_view(), name="visitor-contacts"),
    path("widget/api/end", visitor_api.EndView.as_view(), name="visitor-end"),
]

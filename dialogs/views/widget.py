"""The widget's script and styles, and the addresses of its API (W1)."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import rjsmin
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.cache import patch_vary_headers
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from dialogs.views import visitor_api
from operators.models import SLUG, Account

FRESH = 300  # seconds a browser keeps the script of a known account
FRESH_UNKNOWN = 30


@lru_cache(maxsize=8)
def _source(name: str, changed_at: float) -> str:
    """A file's text, a script's without comments and blanks: made once in each process."""
    text = Path(str(finders.find(name))).read_text(encoding="utf-8")
    return rjsmin.jsmin(text) if name.endswith(".js") else text


def _static(name: str) -> str:
    return _source(name, Path(str(finders.find(name))).stat().st_mtime)


def _literal(value: object) -> str:
    """A JavaScript literal that no text can break out of."""
    return json.dumps(value).replace("<", "\\u003c")


def _public(request: HttpRequest, body: str, content_type: str, fresh: int) -> HttpResponse:
    """Cacheable, for every origin, with an ETag of what it holds."""
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"'
    known = {word.strip().removeprefix("W/") for word in request.headers.get("If-None-Match", "").split(",")}
    response = HttpResponse(status=304) if tag in known else HttpResponse(body, content_type=content_type)
    response["ETag"] = tag
    response["Cache-Control"] = f"public, max-age={fresh}"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _is_served(slug: str) -> bool:
    return bool(SLUG.regex.match(slug)) and Account.objects.filter(slug=slug, archived_at=None).exists()


@require_safe
@gzip_page
def script(request: HttpRequest, slug: str) -> HttpResponse:
    """The one script of a customer's page. An unknown or archived account's says so on the console and does nothing."""
    kind = "text/javascript; charset=utf-8"
    if not _is_served(slug):
        warning = f"webim_offline: there is no account {slug[:63]!r}; the widget is not shown."
        return _public(request, f"console.warn({_literal(warning)});\n", kind, FRESH_UNKNOWN)
    config = _literal({"account": slug, "css": _static("dialogs/widget.css")})
    return _public(request, f"{_static('dialogs/widget.js').rstrip()}({config});\n", kind, FRESH)


@require_safe
@gzip_page
def styles(request: HttpRequest) -> HttpResponse:
    """The same styles as a sheet, for browsers without adoptedStyleSheets."""
    return _public(request, _static("dialogs/widget.css"), "text/css; charset=utf-8", FRESH)


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

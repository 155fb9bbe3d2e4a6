"""Cleaning what people typed into forms, and refusing requests that no part of the service can handle, in one place (C1, X3).

Texts in forms are cleaned (`foundation.text`): nobody is refused for a character that they cannot see. Passwords, keys and tokens
are not text, and pass as they are. Whatever else holds NUL or half of a surrogate pair, which no database can store, is refused:
paths, names of fields, keys, the query string except its searches. So are bodies that are too large.

The path, the query string and the size are checked first. Forms are checked when the view is known, but before any other middleware
reads them. Django keeps a form that it has parsed, so it is parsed only once; and not at all if nothing is at the path, or if the
path expects no form (`bare_addresses`, whose JSON is checked by serializers).
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError

from webim_offline.foundation.numbers import whole_number
from webim_offline.foundation.text import cleaned

ENCODINGS = {"", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1"}  # none of these decodes to half of a surrogate pair


class Unreadable(BadRequest):
    """Raised for a request that no browser would send in this form."""


class NotText(BadRequest):
    """Raised for a request that holds NUL or half of a surrogate pair."""


KEYS = frozenset({"key", "csrfmiddlewaretoken"})  # fields of forms that scripts and we write, not people
SEARCHES = frozenset({"q"})  # the parameters of a query string that people write


def _is_typed(name: str) -> bool:
    """Return whether a field of a form may hold a text that somebody has typed."""
    return name not in KEYS and "password" not in name


def _is_text(text: str) -> bool:
    if "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def _texts(fields: QueryDict) -> Iterator[str]:
    """Yield all names and values of a form or query string."""
    for name, values in fields.lists():
        yield name
        yield from values


def _with_clean_texts(fields: QueryDict, is_typed: Callable[[str], bool]) -> QueryDict:
    """Return a form or query string in which the texts that people type are clean; it is the same one if they were."""
    found = {name: [cleaned(value) for value in values] for name, values in fields.lists() if is_typed(name)}
    changed = {name: values for name, values in found.items() if values != fields.getlist(name)}
    if not changed:
        return fields
    clean = fields.copy()
    for name, values in changed.items():
        clean.setlist(name, values)
    clean._mutable = False
    return clean


class InputMiddleware:
    """The middleware that checks requests. It raises BadRequest, or RequestDataTooBig; `errors.bad_request` answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        if (request.content_params or {}).get("charset", "").strip("\"' ").lower() not in ENCODINGS:
            raise Unreadable
        request.GET = _with_clean_texts(request.GET, SEARCHES.__contains__)  # type: ignore[assignment]  # not to be changed, as before
        if not _is_text(request.path_info) or not all(map(_is_text, _texts(request.GET))):
            raise NotText
        # A quoted cookie may hold anything, but ours never do.
        request.COOKIES = {name: value for name, value in request.COOKIES.items() if _is_text(value)}
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Check the form of a POST.

        This runs before the `process_view` of any other middleware, because that of CSRF reads the form.
        """
        if request.method != "POST":
            return
        try:
            fields, files = request.POST, request.FILES
        except (UnreadablePostError, MultiPartParserError, LookupError, ValueError):
            request._mark_post_parse_error()  # type: ignore[attr-defined]  # Django's own note that there is nothing to be read any more
            raise Unreadable from None
        typed = _with_clean_texts(fields, _is_typed)
        request.POST = typed  # type: ignore[assignment]  # not to be changed, as before
        names = (name for field in files for name in (field, *(file.name or "" for file in files.getlist(field))))
        if not all(map(_is_text, _texts(typed))) or not all(map(_is_text, names)):
            raise NotText


def _length(request: HttpRequest) -> int:
    return whole_number(request.META.get("CONTENT_LENGTH")) or 0

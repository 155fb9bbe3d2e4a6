"""What no request may hold, refused in one place (X3): NUL and half characters, which no database keeps, and too much.

Addresses, queries and sizes are looked at first, forms once the address is known and before anybody else reads them: Django
keeps what it has parsed, so a form is read once, and not at all where nothing is at the address or no form is expected
(`bare_addresses`, whose JSON is judged by its serializers).
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError

from webim_offline.numbers import whole_number

ENCODINGS = {"", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1"}  # of them none decodes to half a character


class Unreadable(BadRequest):
    """The request is not as any browser sends it."""


class NotText(BadRequest):
    """The request holds NUL or half a character."""


def _is_text(text: str) -> bool:
    if "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def _texts(fields: QueryDict) -> Iterator[str]:
    for name, values in fields.lists():
        yield name
        yield from values


class InputMiddleware:
    """Raises BadRequest and what Django's parsers raise; `errors.bad_request` answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        if request.content_params.get("charset", "").strip("\"' ").lower() not in ENCODINGS:
            raise Unreadable
        if not _is_text(request.path_info) or not all(map(_is_text, _texts(request.GET))):
            raise NotText
        # a quoted cookie may hold anything; such a one is none of ours
        request.COOKIES = {name: value for name, value in request.COOKIES.items() if _is_text(value)}
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Before any other middleware's: CSRF's reads the form."""
        if request.method != "POST":
            return
        try:
            fields, files = request.POST, request.FILES
        except (UnreadablePostError, MultiPartParserError, LookupError, ValueError):
            request._mark_post_parse_error()  # Django's own note that there is nothing to be read any more
            raise Unreadable from None
        names = (name for field in files for name in (field, *(file.name or "" for file in files.getlist(field))))
        if not all(map(_is_text, _texts(fields))) or not all(map(_is_text, names)):
            raise NotText


def _length(request: HttpRequest) -> int:
    return whole_number(request.META.get("CONTENT_LENGTH")) or 0

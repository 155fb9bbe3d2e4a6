"""Django's WSGI application, for requests with any Content-Type."""

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

UNREADABLE = {"charset": "unreadable"}


class Request(WSGIRequest):
    """A request that is always read as UTF-8, whatever encoding its Content-Type names.

    Django looks the encoding up while it makes the request, where no middleware could catch the exception for an unknown one.
    `input_check` refuses encodings that we do not know.
    """

    def _set_content_type_params(self, meta: dict[str, str]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (LookupError, ValueError):
            self.content_type, self.content_params = "", UNREADABLE


class Handler(WSGIHandler):
    request_class = Request


def handler() -> Handler:
    """Set Django up, and return the application."""
    django.setup(set_prefix=False)
    return Handler()

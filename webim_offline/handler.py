"""Django's WSGI application, with requests that can always be made."""

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

UNREADABLE = {"charset": "unreadable"}


class Request(WSGIRequest):
    """A request that can always be made: Django looks an encoding up, and decodes with it, where nobody catches what fails.

    Everything is read as UTF-8; `input_check` refuses what says to be something else.
    """

    def _set_content_type_params(self, meta: dict[str, str]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (LookupError, ValueError):
            self.content_type, self.content_params = "", UNREADABLE


class Handler(WSGIHandler):
    request_class = Request


def handler() -> Handler:
    """The application, with Django set up."""
    django.setup(set_prefix=False)
    return Handler()

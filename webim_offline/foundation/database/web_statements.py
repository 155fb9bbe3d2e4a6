"""Limiting how long a statement of a page may take (the setting WEB_STATEMENT_TIMEOUT, in seconds).

After that time nobody waits for the page any more, but the statement would still occupy a thread and hold its locks. The limit only
applies to connections that are made while a page is answered. Workers, the live app, migrations and commands have none.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse


def web_statements_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Set the limit while a request is answered. If a statement is stopped, `errors.server_error` answers."""

    def middleware(request: HttpRequest) -> HttpResponse:
        limited: Any = connection  # our PostgreSQL backend reads `statement_limit`; SQLite's does not
        limited.statement_limit = settings.WEB_STATEMENT_TIMEOUT
        try:
            return get_response(request)
        finally:
            limited.statement_limit = 0.0

    return middleware

"""A page's statement may take so long and no longer: nobody waits for it any more, and it would hold a thread and locks.

Only for connections made while a page is answered. Workers, the live app, migrations and commands have needs of their own.
"""

from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse


def web_statements_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """`errors.server_error` answers for a statement that was stopped."""

    def middleware(request: HttpRequest) -> HttpResponse:
        connection.statement_limit = settings.WEB_STATEMENT_TIMEOUT  # SQLite's connections know nothing of it
        try:
            return get_response(request)
        finally:
            connection.statement_limit = 0.0

    return middleware

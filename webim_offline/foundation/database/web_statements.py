"""How statements of pages are run on PostgreSQL: for a limited time, and planned once.

The setting WEB_STATEMENT_TIMEOUT says how many seconds a statement may take. After that time nobody waits for the page any more,
but the statement would still occupy a thread and hold its locks.

The statements that pages prepare find a few rows by an index, whatever their values. To plan the reading of a queue takes five
times as long as to read it, and in an account with very many dialogs PostgreSQL would plan it anew each time, because it expects to
win a little by that. What is the same every time stands in the text of these statements (`prepared`), so they use partial indexes.

Both apply to connections that are made while a page is answered, not to workers, the live app, migrations and commands.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse


def web_statements_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Say so while a request is answered. If a statement is stopped, `errors.server_error` answers."""

    def middleware(request: HttpRequest) -> HttpResponse:
        ours: Any = connection  # our PostgreSQL backend reads these; SQLite's does not
        ours.statement_limit, ours.plans_once = settings.WEB_STATEMENT_TIMEOUT, True
        try:
            return get_response(request)
        finally:
            ours.statement_limit, ours.plans_once = 0.0, False

    return middleware

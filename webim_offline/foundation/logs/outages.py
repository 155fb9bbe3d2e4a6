"""Logging a database that is away in one line. A traceback for every request and task would bury everything else."""

import logging

import psycopg
from django.db import InterfaceError, OperationalError

AWAY = ("08", "57P")  # beginnings of SQLSTATE: connection exceptions; the server is shutting down, has crashed or is starting


def is_away(error: BaseException | None) -> bool:
    """Return whether the error says that the database server cannot be reached.

    A deadlock or a full disk are operational errors too, but say something else.
    """
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    cause = error.__cause__
    return isinstance(cause, psycopg.Error) and (cause.sqlstate is None or cause.sqlstate.startswith(AWAY))


class InALine(logging.Filter):
    """A filter that removes the traceback from records about a database that is away, and adds the reason in a few words."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if is_away(error):
            said = " ".join(record.getMessage().split())
            why = str(error).partition("\n")[0]
            record.msg, record.args = said if why in said else f"{said}: {why}", ()
            record.exc_info = record.exc_text = None
        return True

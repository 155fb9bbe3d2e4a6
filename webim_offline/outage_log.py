"""A database that is away is said in a line: a traceback for each request and task would bury everything else."""

import logging

import psycopg
from django.db import InterfaceError, OperationalError

AWAY = ("08", "57P")  # SQLSTATE classes: connection exceptions; shut down, crashed, not yet ready


def is_away(error: BaseException | None) -> bool:
    """Does the error say that the database server cannot be spoken to? A deadlock or a full disk says something else."""
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    cause = error.__cause__
    return isinstance(cause, psycopg.Error) and (cause.sqlstate is None or cause.sqlstate.startswith(AWAY))


class InALine(logging.Filter):
    """Takes the traceback off a record about a database that is away."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if is_away(error):
            said = " ".join(record.getMessage().split())
            why = str(error).partition("\n")[0]
            record.msg, record.args = said if why in said else f"{said}: {why}", ()
            record.exc_info = record.exc_text = None
        return True

"""Keeping people's names, addresses and texts out of the log.

Our own log lines name people by id. But the message of an exception may quote what a person has written. So a filter of the log's
handler removes from every record: email addresses, the query strings of URLs (which hold the words of searches), and the values
that a database quotes when a statement has failed.
"""

import logging
import re
from collections.abc import Iterator

import psycopg
from django.db import Error

LONGEST = 4_000  # characters of a message, or of a line of a traceback, that are searched; the rest is cut off
ADDRESS = re.compile(r"(?<![^\s<>()\[\]{},;:\"'=«»“”])[^\s<>()\[\]{},;:\"'=«»“”]+@[^\s<>()\[\]{},;:\"'«»“”/]+")
QUERY = re.compile(r"(?<=[\w/])\?[^\s?\"'<>)]+")
QUOTED = re.compile(r"\"[^\"]*\"")
INSERTED = "(address)"
PLACES = ("celery@", "clock@", "mail@")  # the names of our workers, which look like email addresses


class TextsStayOut(logging.Filter):
    """A filter that removes people's words from a record and its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()[:LONGEST]
        except Exception as error:  # noqa: BLE001 - a wrong call of anybody's: a filter must not raise into it, as no handler does
            said = f"a record of {record.pathname}:{record.lineno} could not be worded ({type(error).__name__})"
        errors = [argument for argument in _arguments(record) if isinstance(argument, BaseException)]
        if isinstance(record.exc_info, tuple):
            errors += _chain(record.exc_info[1])
            if not record.exc_text:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_text = cleaned(record.exc_text, errors)
        record.msg, record.args = cleaned(said, errors), ()
        return True


def cleaned(text: str, errors: list[BaseException]) -> str:
    """Return the text without email addresses, query strings, and the values that these errors quote.

    `errors` are those whose messages may be part of the text.
    """
    for error in errors:
        kept = _without_values(error)
        if kept != str(error):
            text = text.replace(str(error), kept).replace(repr(error), f"{type(error).__name__}({kept!r})")
    text = "\n".join(line[:LONGEST] for line in _without_rows(text.split("\n")))
    text = ADDRESS.sub(lambda found: found[0] if found[0].startswith(PLACES) else INSERTED, text)
    return QUERY.sub("?...", text)


def _without_rows(lines: list[str]) -> list[str]:
    """Return the lines without PostgreSQL's DETAIL, which quotes the values of the row that it has refused."""
    kept, is_detail = [], False
    for line in lines:
        is_detail = line.startswith("DETAIL:") or (is_detail and line != "" and not line.startswith("CONTEXT:"))
        if not is_detail:
            kept.append(line)
    return kept


def _without_values(error: BaseException) -> str:
    """Return the message of an error; of a database's error only as much as quotes no values.

    That is the first line, without anything in quotation marks if it tells of data that could not be read (SQLSTATE class 22) or
    of a search that FTS5 did not understand.
    """
    if not isinstance(error, Error | psycopg.Error):
        return str(error)
    first = str(error).partition("\n")[0]
    state = getattr(error if isinstance(error, psycopg.Error) else error.__cause__, "sqlstate", None) or ""
    return QUOTED.sub('"..."', first) if state.startswith("22") or "fts5" in first else first


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and all errors that caused it, that were being handled when it was raised, or that it groups."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]


def _arguments(record: logging.LogRecord) -> Iterator[object]:
    yield from record.args.values() if isinstance(record.args, dict) else record.args or ()

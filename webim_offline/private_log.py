"""No names, addresses or texts of people in any log: what a line of ours names by id, an error's words may quote.

A filter of the log's handler: e-mail addresses and the queries of addresses (search words stand there) are taken out of every line,
and out of what a database says about a failed statement the values.
"""

import logging
import re
from collections.abc import Iterator

import psycopg
from django.db import Error

LONGEST = 4_000  # characters of a message or of a line of a traceback that are looked at; the formatter shows fewer
ADDRESS = re.compile(r"(?<![^\s<>()\[\]{},;:\"'=«»“”])[^\s<>()\[\]{},;:\"'=«»“”]+@[^\s<>()\[\]{},;:\"'«»“”/]+")
QUERY = re.compile(r"(?<=[\w/])\?[^\s?\"'<>)]+")
QUOTED = re.compile(r"\"[^\"]*\"")
INSERTED = "(address)"
PLACES = ("celery@", "clock@", "mail@")  # names of workers are no addresses


class TextsStayOut(logging.Filter):
    """Takes people's words out of a record, its traceback included."""

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
    """The text without the values that any of the errors, whose words it may repeat, quotes."""
    for error in errors:
        kept = _without_values(error)
        if kept != str(error):
            text = text.replace(str(error), kept).replace(repr(error), f"{type(error).__name__}({kept!r})")
    text = "\n".join(line[:LONGEST] for line in _without_rows(text.split("\n")))
    text = ADDRESS.sub(lambda found: found[0] if found[0].startswith(PLACES) else INSERTED, text)
    return QUERY.sub("?...", text)


def _without_rows(lines: list[str]) -> list[str]:
    """The same where only the words of an error are left: PostgreSQL tells in DETAIL which values of a row it refused."""
    kept, is_detail = [], False
    for line in lines:
        is_detail = line.startswith("DETAIL:") or (is_detail and line != "" and not line.startswith("CONTEXT:"))
        if not is_detail:
            kept.append(line)
    return kept


def _without_values(error: BaseException) -> str:
    """What a database says of a statement, as far as it quotes no row: its first line, and of data it could not take no value."""
    if not isinstance(error, Error | psycopg.Error):
        return str(error)
    first = str(error).partition("\n")[0]
    state = getattr(error if isinstance(error, psycopg.Error) else error.__cause__, "sqlstate", None) or ""
    return QUOTED.sub('"..."', first) if state.startswith("22") or "fts5" in first else first


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what caused it, and what was being handled when it came."""
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

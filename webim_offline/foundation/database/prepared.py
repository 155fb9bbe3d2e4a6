"""Querysets whose SQL is put together once in a process.

Putting together the SQL of a queryset takes several times as long as answering it. For a query that is made at every request, it is
done once, with placeholders for the values:

    @prepared
    def dialogs_of(visitor_id: int, *, newest_first: bool) -> QuerySet[Dialog]:
        return Dialog.objects.filter(visitor=visitor_id).order_by("-pk" if newest_first else "pk")

    dialogs_of(visitor.pk, newest_first=True)  # a list

Positional arguments are values (integers, texts, moments, and sets of integers for an `__in`) and must reach the SQL as they are;
None stands in the place of a value that the SQL has no use for. Keyword arguments decide which SQL it is; the SQL is put together
once for each combination of them, so they must be few: switches, not values.

Several queries can be sent in one message:

    dialogs, devices = find_together(dialogs_of.asked(visitor.pk, newest_first=True), devices_of.asked(visitor.pk))

and a query can be sent with any other statement:

    asked = dialogs_of.asked(visitor.pk, newest_first=True)
    rows, others = run_together(asked.statement(), other)
    asked.found(rows)
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import update_wrapper
from types import NoneType
from typing import Any, Generic, TypeVar

from django.db import connection, connections
from django.db.models import QuerySet

from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.statements import Rows, run_together

Found = TypeVar("Found")
Value = int | str | datetime | frozenset[int] | None
LARGEST = 2**63 - 1
NOTHING: Statement = ("SELECT 1 WHERE FALSE", [])
# A placeholder of each type is like no value of a query.
_INTEGER, _TEXT, _MOMENT = 4_611_686_018_427_387_000, "\ue000placeholder ", datetime(1902, 3, 4, 5, 6, 7, 890123, UTC)


@dataclass(frozen=True)
class _Place:
    """Where in the parameters of a statement a value belongs."""

    argument: int


@dataclass(frozen=True)
class _Plan:
    """A queryset with its SQL. `parameters` are values and places for values."""

    queryset: Any
    compiler: Any
    sql: str
    parameters: list[Any]


@dataclass(frozen=True)
class Asked(Generic[Found]):
    """A prepared query with its values."""

    plan: _Plan
    values: tuple[Value, ...]

    def statement(self) -> Statement:
        """Return the statement. If a value is larger than any column can hold, it finds nothing."""
        if any(isinstance(value, int) and abs(value) > LARGEST for value in self.values):
            return NOTHING
        given = [dialect().list_value(value) if isinstance(value, frozenset) else _adapted(value) for value in self.values]
        return self.plan.sql, [given[one.argument] if isinstance(one, _Place) else one for one in self.plan.parameters]

    def found(self, rows: Rows) -> list[Found]:
        """Return what the rows of the statement hold."""
        compiler = copy(self.plan.compiler)
        compiler.connection = connections[connection.alias]  # that of this thread
        compiler.execute_sql = lambda *_, **__: [rows]
        query = copy(self.plan.queryset.query)
        query.get_compiler = lambda *_, **__: compiler
        queryset = self.plan.queryset.__class__(model=self.plan.queryset.model, query=query)
        queryset._fields = self.plan.queryset._fields
        return list(self.plan.queryset._iterable_class(queryset))


def find_together(*asked: Asked[Any]) -> list[list[Any]]:
    """Return what each of the queries finds. On PostgreSQL all of them are sent in one message."""
    found = run_together(*(one.statement() for one in asked))
    return [one.found(rows) for one, rows in zip(asked, found, strict=True)]


class Prepared(Generic[Found]):
    """A query made by `prepared`. Call it to get the list of what it finds."""

    def __init__(self, build: Callable[..., QuerySet[Any]]) -> None:
        self._build = build
        self._plans: dict[Any, _Plan] = {}
        update_wrapper(self, build)

    def __call__(self, *values: Value, **choices: Any) -> list[Found]:
        (found,) = find_together(self.asked(*values, **choices))
        return found

    def asked(self, *values: Value, **choices: Any) -> "Asked[Found]":
        """Return the query with these values, to be sent together with others."""
        key = (tuple(type(value) for value in values), tuple(sorted(choices.items())))
        if key not in self._plans:
            self._plans[key] = self._prepare(key[0], choices)
        return Asked(self._plans[key], values)

    def _prepare(self, types: tuple[type, ...], choices: dict[str, Any]) -> _Plan:
        placeholders = [None if kind is NoneType else _placeholder(kind, place) for place, kind in enumerate(types)]
        queryset = self._build(*placeholders, **choices)
        compiler = queryset.query.get_compiler(using=connection.alias)
        sql, parameters = compiler.as_sql()
        places = {_single(one): _Place(argument) for argument, one in enumerate(placeholders) if one is not None}
        if missing := set(places) - {one for one in parameters if isinstance(one, int | str | datetime)}:
            raise ValueError(f"{self._build.__qualname__}: a value does not reach the SQL as it is: {missing}")
        filled = [_place(one, places) for one in parameters]
        lists = {place for place, kind in enumerate(types) if kind is frozenset}
        sql = _with_literals(_with_lists(sql, filled, lists), filled)
        return _Plan(queryset, compiler, sql, [one for one in filled if not _is_literal(one)])


def prepared(build: Callable[..., QuerySet[Any]]) -> "Prepared[Any]":
    """Decorate a function that returns a queryset, so that its SQL is put together once. See the head of this module."""
    return Prepared(build)


def _placeholder(kind: type, place: int) -> Value:
    if kind is datetime:
        return _MOMENT + timedelta(days=place)
    if kind is str:
        return f"{_TEXT}{place}"
    if kind is int:
        return _INTEGER + place
    if kind is frozenset:
        return frozenset({_INTEGER + place})
    raise TypeError(f"{kind.__name__} cannot be a value of a prepared query; a choice must be a keyword argument")


def _adapted(value: Value) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _single(placeholder: Value) -> Any:
    return next(iter(placeholder)) if isinstance(placeholder, frozenset) else _adapted(placeholder)


def _with_lists(sql: str, parameters: list[Any], lists: set[int]) -> str:
    """The SQL in which each of these arguments is one parameter, however many integers are in it."""
    parts = sql.split("%s")
    for place, one in enumerate(parameters):
        if isinstance(one, _Place) and one.argument in lists:
            if not parts[place].endswith("IN (") or not parts[place + 1].startswith(")"):
                raise ValueError("a set of integers must be the only value of an __in")
            parts[place] = f"{parts[place].removesuffix('IN (')}{dialect().in_list[0]}"
            parts[place + 1] = f"{dialect().in_list[1]}{parts[place + 1].removeprefix(')')}"
    return "%s".join(parts)


def _with_literals(sql: str, parameters: list[Any]) -> str:
    """The SQL with what is the same every time in its text: so PostgreSQL can plan it once, and still use partial indexes."""
    first, *parts = sql.split("%s")
    literals = [dialect().literal(one).replace("%", "%%") if _is_literal(one) else "%s" for one in parameters]
    return first + "".join(f"{literal}{part}" for literal, part in zip(literals, parts, strict=True))


def _is_literal(parameter: Any) -> bool:
    return dialect().plans_once and isinstance(parameter, bool | int | str)


def _place(parameter: Any, places: dict[Any, _Place]) -> Any:
    return places.get(parameter, parameter) if isinstance(parameter, int | str | datetime) else parameter

"""Instances of models from rows that plain SQL has returned.

A query of Django's is put together anew each time, which takes several times as long as PostgreSQL needs to answer it. The few
queries that every message of a visitor makes are plain SQL, so that they can also be sent together (`statements.run_together`).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)


@cache
def columns_of(model: type[models.Model], table: str = "") -> str:
    """Return the names of a model's columns for a SELECT or a RETURNING, in the order that `instance_of` expects.

    They are listed because `*` would break statements that PostgreSQL has planned already, when a column is added. `table` is put
    before each.
    """
    before = f"{table}." if table else ""
    return ", ".join(f"{before}{connection.ops.quote_name(str(field.column))}" for field in model._meta.concrete_fields)


def width_of(model: type[models.Model]) -> int:
    """Return the number of values that a row of this model has."""
    return len(model._meta.concrete_fields)


def instance_of(model: type[Row], row: Sequence[Any]) -> Row:
    """Return the instance that a row of `columns_of` holds. Values beyond these are ignored."""
    names, converters = _fields_of(model)
    values = list(row[: len(names)])
    for place, expression, convert in converters:
        values[place] = convert(values[place], expression, connection)
    return model.from_db(connection.alias, names, values)


@cache
def _fields_of(model: type[models.Model]) -> tuple[list[str], list[tuple[int, Any, Any]]]:
    """The attribute names of a model's columns, and for each that needs it what makes Python's value of the database's."""
    names, converters = [], []
    for place, field in enumerate(model._meta.concrete_fields):
        expression: Any = field.get_col(model._meta.db_table)
        names.append(field.attname)
        both = (*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection))
        converters += [(place, expression, convert) for convert in both]
    return names, converters

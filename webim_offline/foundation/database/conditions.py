"""Writing a condition of Django's ORM as text, for use in plain SQL, so that the two cannot differ."""

from django.db import connection, models
from django.db.models.sql.query import Query


def condition_sql(model: type[models.Model], condition: models.Q) -> str:
    """Return a condition on the model's own columns as SQL, without the table's name, and with the values in the text.

    The values are part of the text, and no parameters, because PostgreSQL only then recognises the condition of a partial index. So
    they must be constants of the code, and strings, integers or booleans. Raises TypeError for anything else.
    """
    query = Query(model=model, alias_cols=False)
    where = query.build_where(condition)
    sql, values = where.as_sql(query.get_compiler(connection=connection), connection)
    return sql % tuple(_literal(value) for value in values)


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + str(value).replace("'", "''") + "'"
    if isinstance(value, bool | int):
        return str(value).upper()
    raise TypeError(f"{type(value).__name__} is no value that stands in a statement")

"""Django's database backend for SQLite, with what the search of the archive needs (decision 0014).

The index of the search is kept by triggers, which call functions of Python: our stemmer. And triggers survive when Django alters a
table.
"""

from sqlite3 import Connection
from typing import Any

from django.db import models
from django.db.backends.sqlite3 import base
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor as SQLiteSchemaEditor

from webim_offline.foundation.database import stemming

FUNCTIONS: dict[str, tuple[int, Any]] = {
    "search_words": (1, stemming.distinct),
    "search_joined": (2, stemming.joined),
    "search_held": (2, stemming.held),
    "search_digits": (1, stemming.phone_digits),
}


class DatabaseSchemaEditor(SQLiteSchemaEditor):
    def _remake_table(self, model: type[models.Model], *args: Any, **kwargs: Any) -> None:
        """Keep the triggers while Django alters a table.

        Django makes a new table and drops the old one, and SQLite drops a table's triggers with it.
        """
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
        # The triggers of other tables are taken away, too: one that names this table would not let it be renamed.
        for name, _ in triggers:
            self.execute(f"DROP TRIGGER {self.quote_name(name)}", params=None)
        super()._remake_table(model, *args, **kwargs)  # type: ignore[misc]  # not in the stubs
        for _, sql in triggers:
            self.execute(sql, params=None)


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = DatabaseSchemaEditor

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        connection: Connection = super().get_new_connection(conn_params)
        connection.execute("PRAGMA trusted_schema = ON")  # some builds do not let triggers call our functions otherwise
        for name, (arguments, function) in FUNCTIONS.items():
            connection.create_function(name, arguments, function, deterministic=True)
        return connection

"""Django's SQLite with what the search of the archive needs: our stemmer in its triggers, which outlive a table's remaking.

Decision 0014 says why the index is kept by triggers.
"""

from sqlite3 import Connection
from typing import Any

from django.db import models
from django.db.backends.sqlite3 import base
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor as SQLiteSchemaEditor

from webim_offline import stemming

FUNCTIONS = {
    "search_words": (1, stemming.distinct),
    "search_joined": (2, stemming.joined),
    "search_holds": (3, stemming.holds),
    "search_digits": (1, stemming.phone_digits),
}


class DatabaseSchemaEditor(SQLiteSchemaEditor):
    def _remake_table(self, model: type[models.Model], *args: Any, **kwargs: Any) -> None:
        """To alter a table Django makes a new one and drops the old, and with it SQLite drops the triggers: put them back."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
        # all of them: one that names the dropped table would forbid the new one to take its name
        for name, _ in triggers:
            self.execute(f"DROP TRIGGER {self.quote_name(name)}", params=None)
        super()._remake_table(model, *args, **kwargs)
        for _, sql in triggers:
            self.execute(sql, params=None)


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = DatabaseSchemaEditor

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        connection = super().get_new_connection(conn_params)
        connection.execute("PRAGMA trusted_schema = ON")  # some builds trust no trigger with functions of our own
        for name, (arguments, function) in FUNCTIONS.items():
            connection.create_function(name, arguments, function, deterministic=True)
        return connection

"""A key of an operator's answer is unique in its dialog, not in all dialogs of the operator (B1).

The new constraint comes before the old one goes, so there is no moment without one. Processes of the former release work on
with it: under their locks they look for the key in all dialogs of the operator before they write, and never meet the
constraint. Until they are restarted a key that was used in another dialog still swallows an answer there, as before.

Going back takes the keys from answers that the former constraint would not have allowed; the answers stay.
"""

from django.db import migrations, models

ONCE_A_DIALOG = models.UniqueConstraint(
    fields=["dialog", "author", "client_key"],
    name="operator_key_once_a_dialog",
    condition=models.Q(author__isnull=False) & ~models.Q(client_key=""),
)
TAKE_REPEATED_KEYS = """
    UPDATE dialogs_message SET client_key = '' WHERE author_id IS NOT NULL AND client_key <> '' AND EXISTS (
        SELECT 1 FROM dialogs_message AS earlier WHERE earlier.author_id = dialogs_message.author_id
            AND earlier.client_key = dialogs_message.client_key AND earlier.id < dialogs_message.id
    )
"""


class AddUniqueBeside(migrations.AddConstraint):
    """A conditional unique constraint made while messages go on being written. It can be repeated after an interruption."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            drop_beside(schema_editor, self.constraint.name)  # PostgreSQL leaves an invalid one, SQLite a whole one
            sql = str(self.constraint.create_sql(model, schema_editor))
            made = sql.replace("CREATE UNIQUE INDEX", f"CREATE UNIQUE INDEX{beside(schema_editor)}", 1)
            schema_editor.execute(made, params=None)


class RemoveUniqueBeside(migrations.RemoveConstraint):
    """The removal of such a constraint, which waits for nobody who writes."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if self.allow_migrate_model(schema_editor.connection.alias, to_state.apps.get_model(app_label, self.model_name)):
            drop_beside(schema_editor, self.name)


def drop_beside(schema_editor, name):
    schema_editor.execute(f"DROP INDEX{beside(schema_editor)} IF EXISTS {schema_editor.quote_name(name)}")


def beside(schema_editor):
    """PostgreSQL can do it without keeping others from writing, outside of a transaction; SQLite has one writer at a time."""
    return " CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("dialogs", "0010_event_queue")]

    operations = [
        AddUniqueBeside(model_name="message", constraint=ONCE_A_DIALOG),
        RemoveUniqueBeside(model_name="message", name="operator_key_once"),
        migrations.RunSQL(migrations.RunSQL.noop, TAKE_REPEATED_KEYS),
    ]

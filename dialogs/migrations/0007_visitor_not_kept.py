from django.db import migrations, models


class AddIndexBeside(migrations.AddIndex):
    """An index made while visitors go on being written; PostgreSQL can, outside of a transaction."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            # what an interrupted attempt left is invalid
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(self.index.name)}")
            schema_editor.add_index(model, self.index, concurrently=True)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("dialogs", "0006_newcomers")]

    operations = [
        AddIndexBeside(
            model_name="visitor",
            index=models.Index(condition=models.Q(("is_kept", False)), fields=["created_at"], name="visitor_not_kept"),
        ),
    ]

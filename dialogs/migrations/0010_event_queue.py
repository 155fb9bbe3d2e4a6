"""Store the queue that an event brought a dialog to as `queue`, as transfers always did; it was `to` in all other kinds.

`to` means the kind of a transfer's target and nothing else from here on (`dialogs.events`).

The rows are rewritten in batches, each a transaction of its own, so nobody waits for more than one batch, and an attempt that
was interrupted can be repeated. Processes of the former release go on writing `to` until they are restarted: this release
reads both forms, so rows that come after the last batch may stay as they are. What the former release reads from rewritten
rows is less, but nothing fails there: it does not say to which queue an event brought a dialog, and calls the queue of a
reopened one General queue. Migrating backwards gives it the former name again.
"""

from django.db import migrations, transaction

AT_ONCE = 2_000  # rows rewritten in one transaction
KINDS = ("started", "visitor_came_back", "went_offline", "token_set", "reopened", "unassigned", "entered_workspace")

POSTGRESQL = """
    UPDATE dialogs_dialogevent SET data = (data - '{old}') || jsonb_build_object('{new}', data -> '{old}')
    WHERE id IN (SELECT id FROM dialogs_dialogevent WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)
"""
SQLITE = """
    UPDATE dialogs_dialogevent
    SET data = json_remove(json_set(data, '$.{new}', json_extract(data, '$.{old}')), '$.{old}')
    WHERE id IN (SELECT value FROM json_each(%s))
"""


def rename(apps, schema_editor, old, new):
    """Rename the field `old` of the data of these kinds to `new` wherever it is there."""
    connection = schema_editor.connection
    events = apps.get_model("dialogs", "DialogEvent").objects.using(connection.alias)
    is_postgresql = connection.vendor == "postgresql"
    sql = (POSTGRESQL if is_postgresql else SQLITE).format(old=old, new=new)
    rows = events.filter(kind__in=KINDS, data__has_key=old).order_by("pk").values_list("pk", flat=True)
    after = 0
    while ids := list(rows.filter(pk__gt=after)[:AT_ONCE]):
        after = ids[-1]
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(sql, [ids if is_postgresql else str(ids)])


def to_queue(apps, schema_editor):
    rename(apps, schema_editor, "to", "queue")


def back_to_to(apps, schema_editor):
    rename(apps, schema_editor, "queue", "to")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("dialogs", "0009_duties_beside_handled_at")]

    operations = [migrations.RunPython(to_queue, back_to_to, elidable=True)]

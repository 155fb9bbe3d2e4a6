"""Keep duties and the column `handled_at` of events in step while processes of the former release run (decision 0018).

Former releases know no duties. Their processes write events that wait for a letter with `handled_at` null, and their letter
writers look for such events and set the column. Three triggers serve them, in the transaction of whoever writes:

- an event that is inserted with `handled_at` null has or gets a duty. Processes of this release insert the duty first, so the
  trigger finds it and changes nothing; for the others it writes what `dialogs.actions.duties` would write;
- when a former letter writer has handled all events of a dialog, its duty goes;
- when a duty goes, because this release's letter writer has done it, its events are handled.

Letter writers of both releases lock the dialog first and look afterwards, so each sees what the other has done.

The triggers come first, in one transaction; the duties of the events that are unhandled by then are made in batches, under the
locks of their dialogs. An attempt that was interrupted can be repeated.
"""

from datetime import timedelta

from django.db import migrations, transaction

BATCH = 500  # dialogs that are locked at a time
LETTERS = "left_message_letters"
WINDOW = timedelta(seconds=15)  # M2

# the duty of an event: at once for a pick-up, else after M2's window
POSTGRESQL = [
    f"""
    CREATE OR REPLACE FUNCTION dialogs_duty_of_event() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO dialogs_duty (dialog_id, purpose, due_at, since, first_revision, last_revision)
            SELECT id, '{LETTERS}', NEW.at + CASE NEW.kind WHEN 'picked_up' THEN interval '0' ELSE interval '15 seconds' END,
                NEW.at, NEW.revision, NEW.revision
            FROM dialogs_dialog WHERE id = NEW.dialog_id AND start_state = 'offline'
            ON CONFLICT (dialog_id, purpose) DO UPDATE SET
                due_at = least(dialogs_duty.due_at, excluded.due_at), since = least(dialogs_duty.since, excluded.since),
                last_revision = excluded.last_revision
            WHERE dialogs_duty.last_revision < excluded.last_revision;
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE OR REPLACE FUNCTION dialogs_duty_handled() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM dialogs_duty WHERE dialog_id = NEW.dialog_id AND purpose = '{LETTERS}'
            AND NOT EXISTS (SELECT 1 FROM dialogs_dialogevent WHERE dialog_id = NEW.dialog_id AND handled_at IS NULL);
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION dialogs_duty_done() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE dialogs_dialogevent SET handled_at = clock_timestamp()
            WHERE dialog_id = OLD.dialog_id AND handled_at IS NULL
                AND revision BETWEEN OLD.first_revision AND OLD.last_revision;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER dialogs_duty_of_event AFTER INSERT ON dialogs_dialogevent
        FOR EACH ROW WHEN (NEW.handled_at IS NULL) EXECUTE FUNCTION dialogs_duty_of_event()
    """,
    """
    CREATE OR REPLACE TRIGGER dialogs_duty_handled AFTER UPDATE OF handled_at ON dialogs_dialogevent
        FOR EACH ROW WHEN (OLD.handled_at IS NULL AND NEW.handled_at IS NOT NULL) EXECUTE FUNCTION dialogs_duty_handled()
    """,
    f"""
    CREATE OR REPLACE TRIGGER dialogs_duty_done AFTER DELETE ON dialogs_duty
        FOR EACH ROW WHEN (OLD.purpose = '{LETTERS}') EXECUTE FUNCTION dialogs_duty_done()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER IF EXISTS dialogs_duty_of_event ON dialogs_dialogevent",
    "DROP TRIGGER IF EXISTS dialogs_duty_handled ON dialogs_dialogevent",
    "DROP TRIGGER IF EXISTS dialogs_duty_done ON dialogs_duty",
    "DROP FUNCTION IF EXISTS dialogs_duty_of_event, dialogs_duty_handled, dialogs_duty_done",
]

# the seconds are counted without their fraction, which SQLite would round, and the fraction is put back
SQLITE = [
    f"""
    CREATE TRIGGER dialogs_duty_of_event AFTER INSERT ON dialogs_dialogevent WHEN NEW.handled_at IS NULL BEGIN
        INSERT INTO dialogs_duty (dialog_id, purpose, due_at, since, first_revision, last_revision)
            SELECT id, '{LETTERS}', CASE NEW.kind WHEN 'picked_up' THEN NEW.at ELSE
                    strftime('%Y-%m-%d %H:%M:%S', substr(NEW.at, 1, 19), '+15 seconds') || substr(NEW.at, 20) END,
                NEW.at, NEW.revision, NEW.revision
            FROM dialogs_dialog WHERE id = NEW.dialog_id AND start_state = 'offline'
            ON CONFLICT (dialog_id, purpose) DO UPDATE SET
                due_at = min(due_at, excluded.due_at), since = min(since, excluded.since), last_revision = excluded.last_revision
            WHERE last_revision < excluded.last_revision;
    END
    """,
    f"""
    CREATE TRIGGER dialogs_duty_handled AFTER UPDATE OF handled_at ON dialogs_dialogevent
        WHEN OLD.handled_at IS NULL AND NEW.handled_at IS NOT NULL BEGIN
        DELETE FROM dialogs_duty WHERE dialog_id = NEW.dialog_id AND purpose = '{LETTERS}'
            AND NOT EXISTS (SELECT 1 FROM dialogs_dialogevent WHERE dialog_id = NEW.dialog_id AND handled_at IS NULL);
    END
    """,
    f"""
    CREATE TRIGGER dialogs_duty_done AFTER DELETE ON dialogs_duty WHEN OLD.purpose = '{LETTERS}' BEGIN
        UPDATE dialogs_dialogevent SET handled_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
            WHERE dialog_id = OLD.dialog_id AND handled_at IS NULL
                AND revision BETWEEN OLD.first_revision AND OLD.last_revision;
    END
    """,
]
SQLITE_BACK = [
    "DROP TRIGGER IF EXISTS dialogs_duty_of_event",
    "DROP TRIGGER IF EXISTS dialogs_duty_handled",
    "DROP TRIGGER IF EXISTS dialogs_duty_done",
]


def begin(apps, schema_editor):
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    with transaction.atomic(using=schema_editor.connection.alias):
        for statement in POSTGRESQL if is_postgresql else (*SQLITE_BACK, *SQLITE):
            schema_editor.execute(statement, params=None)
    make_duties_of_unhandled_events(apps, schema_editor)


def end(apps, schema_editor):
    for statement in POSTGRESQL_BACK if schema_editor.connection.vendor == "postgresql" else SQLITE_BACK:
        schema_editor.execute(statement, params=None)


def make_duties_of_unhandled_events(apps, schema_editor):
    """The triggers see every event from here on. A letter writer that handles one of the older ones holds its dialog's lock."""
    events = apps.get_model("dialogs", "DialogEvent").objects.using(schema_editor.connection.alias)
    unhandled = events.filter(handled_at=None, dialog__start_state="offline")
    last = 0
    while ids := list(unhandled.filter(dialog__gt=last).order_by("dialog").values_list("dialog", flat=True).distinct()[:BATCH]):
        _make_duties_of_dialogs(apps, schema_editor.connection.alias, ids)
        last = ids[-1]


def _make_duties_of_dialogs(apps, alias, ids):
    dialogs, events, duty = (apps.get_model("dialogs", name) for name in ("Dialog", "DialogEvent", "Duty"))
    with transaction.atomic(using=alias):
        list(dialogs.objects.using(alias).filter(pk__in=ids).select_for_update(no_key=True).order_by("pk").values_list("pk"))
        unhandled = events.objects.using(alias).filter(dialog__in=ids, handled_at=None).order_by("dialog", "revision")
        made = {}
        for dialog_id, kind, at, revision in unhandled.values_list("dialog", "kind", "at", "revision"):
            due_at = at if kind == "picked_up" else at + WINDOW
            row = made.setdefault(dialog_id, duty(dialog_id=dialog_id, purpose=LETTERS, due_at=due_at, since=at, first_revision=revision))
            row.due_at, row.since, row.last_revision = min(row.due_at, due_at), min(row.since, at), revision
        # a trigger may have made one of them already, for the later events only
        fields = ["due_at", "since", "first_revision", "last_revision"]
        duties = duty.objects.using(alias)
        duties.bulk_create(made.values(), update_conflicts=True, unique_fields=["dialog", "purpose"], update_fields=fields)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("dialogs", "0008_duty")]

    operations = [migrations.RunPython(begin, end)]

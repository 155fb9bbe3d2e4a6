"""The index of the archive's search (Q13), kept by triggers: whichever code writes a message or contacts, in its transaction.

One row of dialogs_searchtext holds the words of a dialog; of a very long dialog, of a part of it. Decision 0014 says why.
On SQLite the functions search_* come from webim_offline.foundation.database.sqlite. A change of dialogs_message or
dialogs_visitor that makes their table anew loses nothing: see there.

The table, its index and the triggers come first, in one short transaction: from then on every message is indexed by whoever writes
it. What was written before is indexed in batches, under the locks of its visitors and dialogs, so that a message waits for one
batch at most. An attempt that was interrupted can be repeated; it indexes everything once more.
"""

import django.db.models.deletion
from django.db import migrations, models, transaction

import dialogs.models

# a part that holds so many words is full; on SQLite it is counted in characters
MOST_WORDS, MOST_CHARACTERS = 1_000, 8_000
BATCH = 500  # dialogs that are locked and indexed at a time

POSTGRESQL = [
    # letters and digits alone, so that the parser sees words and no addresses, hosts or negative numbers; е for ё
    r"""
    CREATE FUNCTION dialogs_search_plain(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT translate($1, 'ёЁ!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', 'еЕ' || repeat(' ', 32))
    $$
    """,
    # the account is a word too, one that nobody can type: a search begins in its own account
    """
    CREATE FUNCTION dialogs_search_contacts(account bigint, name text, email text, phone text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT array_to_tsvector(ARRAY['@' || account])
            || strip(to_tsvector('russian', dialogs_search_plain(name || ' ' || email || ' ' || phone)))
            || strip(to_tsvector('simple', digits || ' ' || right(digits, 10)))
        FROM regexp_replace(phone, '[^0-9]', '', 'g') AS digits
    $$
    """,
    f"""
    CREATE FUNCTION dialogs_search_message() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        added tsvector := strip(to_tsvector('russian', dialogs_search_plain(NEW.text)));
        part bigint;
        known tsvector;
    BEGIN
        SELECT id, words INTO part, known FROM dialogs_searchtext WHERE dialog_id = NEW.dialog_id
            ORDER BY id DESC LIMIT 1 FOR NO KEY UPDATE;
        IF part IS NULL OR length(known) >= {MOST_WORDS} THEN
            INSERT INTO dialogs_searchtext (dialog_id, words, contacts)
                SELECT d.id, added, dialogs_search_contacts(d.account_id, v.name, v.email, v.phone)
                FROM dialogs_dialog d JOIN dialogs_visitor v ON v.id = d.visitor_id WHERE d.id = NEW.dialog_id;
        ELSIF NOT tsvector_to_array(known) @> tsvector_to_array(added) THEN
            UPDATE dialogs_searchtext SET words = known || added WHERE id = part;
        END IF;
        RETURN NULL;
    END $$
    """,
    # by so many characters a part stays far below the 1 MB that a tsvector can hold
    """
    CREATE FUNCTION dialogs_search_again(lowest bigint, highest bigint) RETURNS void LANGUAGE sql AS $$
        DELETE FROM dialogs_searchtext WHERE dialog_id BETWEEN lowest AND highest;
        INSERT INTO dialogs_searchtext (dialog_id, words, contacts)
            SELECT d.id, said.words, dialogs_search_contacts(d.account_id, v.name, v.email, v.phone)
            FROM (
                SELECT dialog_id, part, strip(to_tsvector('russian', dialogs_search_plain(string_agg(text, ' ')))) AS words
                FROM (
                    SELECT dialog_id, text, sum(length(text)) OVER (PARTITION BY dialog_id ORDER BY id) / 20000 AS part
                    FROM dialogs_message WHERE kind <> 'system' AND dialog_id BETWEEN lowest AND highest
                ) AS pieces
                GROUP BY dialog_id, part
            ) AS said
            JOIN dialogs_dialog d ON d.id = said.dialog_id
            JOIN dialogs_visitor v ON v.id = d.visitor_id
            ORDER BY d.id, said.part;
    $$
    """,
    """
    CREATE FUNCTION dialogs_search_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM dialogs_search_again(OLD.dialog_id, OLD.dialog_id);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION dialogs_search_visitor() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE dialogs_searchtext SET contacts = dialogs_search_contacts(NEW.account_id, NEW.name, NEW.email, NEW.phone)
            WHERE dialog_id IN (SELECT id FROM dialogs_dialog WHERE visitor_id = NEW.id);
        RETURN NULL;
    END $$
    """,
    # fastupdate would make one message in hundreds pay for all of them, half a second, and every search read what waits
    "CREATE INDEX dialogs_searchtext_words ON dialogs_searchtext USING gin ((words || contacts)) WITH (fastupdate = off)",
    """
    CREATE TRIGGER dialogs_search_message AFTER INSERT ON dialogs_message
        FOR EACH ROW WHEN (NEW.kind <> 'system') EXECUTE FUNCTION dialogs_search_message()
    """,
    """
    CREATE TRIGGER dialogs_search_rewritten AFTER UPDATE OF text, kind ON dialogs_message
        FOR EACH ROW WHEN ((OLD.text, OLD.kind) IS DISTINCT FROM (NEW.text, NEW.kind)) EXECUTE FUNCTION dialogs_search_changed()
    """,
    """
    CREATE TRIGGER dialogs_search_deleted AFTER DELETE ON dialogs_message
        FOR EACH ROW WHEN (OLD.kind <> 'system') EXECUTE FUNCTION dialogs_search_changed()
    """,
    """
    CREATE TRIGGER dialogs_search_visitor AFTER UPDATE OF name, email, phone ON dialogs_visitor
        FOR EACH ROW WHEN ((OLD.name, OLD.email, OLD.phone) IS DISTINCT FROM (NEW.name, NEW.email, NEW.phone))
        EXECUTE FUNCTION dialogs_search_visitor()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER dialogs_search_message ON dialogs_message",
    "DROP TRIGGER dialogs_search_rewritten ON dialogs_message",
    "DROP TRIGGER dialogs_search_deleted ON dialogs_message",
    "DROP TRIGGER dialogs_search_visitor ON dialogs_visitor",
    "DROP INDEX dialogs_searchtext_words",
    "DROP FUNCTION dialogs_search_message, dialogs_search_changed, dialogs_search_visitor",
    "DROP FUNCTION dialogs_search_again, dialogs_search_contacts, dialogs_search_plain",
]

CONTACTS = "search_words({0}.name || ' ' || {0}.email || ' ' || {0}.phone || ' ' || search_digits({0}.phone))"
INDEXED_AGAIN = f"""
    INSERT INTO dialogs_searchtext (dialog_id, words, contacts)
        SELECT d.id, search_words(group_concat(m.text, ' ')), {CONTACTS.format("v")}
        FROM dialogs_message m JOIN dialogs_dialog d ON d.id = m.dialog_id JOIN dialogs_visitor v ON v.id = d.visitor_id
        WHERE m.kind <> 'system' {{}} GROUP BY d.id
"""
CHANGED = f"""
    DELETE FROM dialogs_searchtext WHERE dialog_id = OLD.dialog_id;
    {INDEXED_AGAIN.format("AND d.id = OLD.dialog_id")};
"""
SQLITE = [
    """
    CREATE VIRTUAL TABLE dialogs_searchtext_index USING fts5(
        words, contacts, content='dialogs_searchtext', content_rowid='id', tokenize='unicode61 remove_diacritics 0', detail=none
    )
    """,
    """
    CREATE TRIGGER dialogs_searchtext_new AFTER INSERT ON dialogs_searchtext BEGIN
        INSERT INTO dialogs_searchtext_index (rowid, words, contacts) VALUES (NEW.id, NEW.words, NEW.contacts);
    END
    """,
    """
    CREATE TRIGGER dialogs_searchtext_gone AFTER DELETE ON dialogs_searchtext BEGIN
        INSERT INTO dialogs_searchtext_index (dialogs_searchtext_index, rowid, words, contacts)
            VALUES ('delete', OLD.id, OLD.words, OLD.contacts);
    END
    """,
    """
    CREATE TRIGGER dialogs_searchtext_changed AFTER UPDATE ON dialogs_searchtext BEGIN
        INSERT INTO dialogs_searchtext_index (dialogs_searchtext_index, rowid, words, contacts)
            VALUES ('delete', OLD.id, OLD.words, OLD.contacts);
        INSERT INTO dialogs_searchtext_index (rowid, words, contacts) VALUES (NEW.id, NEW.words, NEW.contacts);
    END
    """,
    f"""
    CREATE TRIGGER dialogs_search_message AFTER INSERT ON dialogs_message WHEN NEW.kind <> 'system' BEGIN
        INSERT INTO dialogs_searchtext (dialog_id, words, contacts)
            SELECT d.id, '', {CONTACTS.format("v")}
            FROM dialogs_dialog d JOIN dialogs_visitor v ON v.id = d.visitor_id
            WHERE d.id = NEW.dialog_id AND NOT EXISTS (
                SELECT 1 FROM dialogs_searchtext WHERE dialog_id = NEW.dialog_id AND length(words) < {MOST_CHARACTERS}
            );
        UPDATE dialogs_searchtext SET words = search_joined(words, search_words(NEW.text))
            WHERE id = (SELECT max(id) FROM dialogs_searchtext WHERE dialog_id = NEW.dialog_id);
    END
    """,
    f"""
    CREATE TRIGGER dialogs_search_rewritten AFTER UPDATE OF text, kind ON dialogs_message
        WHEN OLD.text <> NEW.text OR OLD.kind <> NEW.kind BEGIN {CHANGED} END
    """,
    f"CREATE TRIGGER dialogs_search_deleted AFTER DELETE ON dialogs_message WHEN OLD.kind <> 'system' BEGIN {CHANGED} END",
    f"""
    CREATE TRIGGER dialogs_search_visitor AFTER UPDATE OF name, email, phone ON dialogs_visitor
        WHEN OLD.name <> NEW.name OR OLD.email <> NEW.email OR OLD.phone <> NEW.phone BEGIN
        UPDATE dialogs_searchtext SET contacts = {CONTACTS.format("NEW")}
            WHERE dialog_id IN (SELECT id FROM dialogs_dialog WHERE visitor_id = NEW.id);
    END
    """,
]
SQLITE_BACK = [
    "DROP TRIGGER dialogs_search_message",
    "DROP TRIGGER dialogs_search_rewritten",
    "DROP TRIGGER dialogs_search_deleted",
    "DROP TRIGGER dialogs_search_visitor",
    "DROP TRIGGER dialogs_searchtext_new",
    "DROP TRIGGER dialogs_searchtext_gone",
    "DROP TRIGGER dialogs_searchtext_changed",
    "DROP TABLE dialogs_searchtext_index",
]


def begin(apps, schema_editor):
    connection = schema_editor.connection
    if "dialogs_searchtext" not in connection.introspection.table_names():
        make_table_and_triggers(apps, connection)
    index_dialogs_from_before(apps, connection)


def make_table_and_triggers(apps, connection):
    dialog = apps.get_model("dialogs", "Dialog")
    with connection.schema_editor(atomic=True) as editor:
        editor.add_index(dialog, archive_index(dialog))
        editor.create_model(apps.get_model("dialogs", "SearchText"))
        for statement in POSTGRESQL if connection.vendor == "postgresql" else SQLITE:
            editor.execute(statement, params=None)


def index_dialogs_from_before(apps, connection):
    in_order = apps.get_model("dialogs", "Dialog").objects.using(connection.alias).order_by("pk")
    visitors = apps.get_model("dialogs", "Visitor").objects.using(connection.alias).order_by("pk")
    last = 0
    while keys := list(in_order.filter(pk__gt=last).values_list("pk", flat=True)[:BATCH]):
        lowest, highest = keys[0], keys[-1]
        within = in_order.filter(pk__range=(lowest, highest))
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # whoever changes contacts holds the visitor, whoever writes a message the dialog; visitors come first (decision 0025)
                list(visitors.filter(pk__in=within.order_by().values("visitor")).select_for_update(no_key=True).values_list("pk"))
                list(within.select_for_update(no_key=True).values_list("pk"))
                cursor.execute("SELECT dialogs_search_again(%s, %s)", [lowest, highest])
            else:
                cursor.execute("DELETE FROM dialogs_searchtext WHERE dialog_id BETWEEN %s AND %s", [lowest, highest])
                cursor.execute(INDEXED_AGAIN.format("AND d.id BETWEEN %s AND %s"), [lowest, highest])
        last = highest


def end(apps, schema_editor):
    connection = schema_editor.connection
    dialog = apps.get_model("dialogs", "Dialog")
    with connection.schema_editor(atomic=True) as editor:
        for statement in POSTGRESQL_BACK if connection.vendor == "postgresql" else SQLITE_BACK:
            editor.execute(statement, params=None)
        editor.delete_model(apps.get_model("dialogs", "SearchText"))
        editor.remove_index(dialog, archive_index(dialog))


def archive_index(dialog):
    return next(index for index in dialog._meta.indexes if index.name == "dialog_archive")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("dialogs", "0001_initial")]

    operations = [
        # what `begin` makes in one transaction
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddIndex(
                    model_name="dialog",
                    index=models.Index(fields=["account", "created_at", "id"], name="dialog_archive"),
                ),
                migrations.CreateModel(
                    name="SearchText",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("words", dialogs.models.SearchWords(editable=False)),
                        ("contacts", dialogs.models.SearchWords(editable=False)),
                        (
                            "dialog",
                            models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="dialogs.dialog"),
                        ),
                    ],
                ),
            ],
        ),
        migrations.RunPython(begin, end),
    ]

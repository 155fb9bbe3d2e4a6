"""Changes of settings get columns for what changed and its values as JSON, instead of one text to be taken apart (M9).

Expand: the columns `field`, `old` and `new` stay for processes of the release before. Triggers fill them in rows of new processes,
and fill the new columns in rows that processes of the release before write. 0006 converts the rows that are there already, through
the same triggers. The next release drops the triggers and the three columns.
"""

from django.db import migrations, models

# How the texts of the release before are read: a number, a boolean, or a text that is null when it is empty.
NUMBERS = (
    "operator_lease", "visit_lease", "left_notice_after", "offline_after", "pickup_timeout", "close_after", "reopen_window",
    "max_online_dialogs", "max_offline_dialogs", "visible_online_dialogs", "visible_offline_dialogs", "position",
)  # fmt: skip
BOOLEANS = ("left_messages_in_workspace",)
NULL_WHEN_EMPTY = ("added", "archived", "restored", "deleted", "archived_at")
# kind, its name in the text of the release before, table, column of the short name
TARGETS = (
    ("department", "department", "operators_department", "slug"),
    ("language", "language", "operators_language", "code"),
    ("contact_field", "contactfield", "operators_contactfield", "label"),
    ("operator", "operator", "operators_operator", "username"),
)


def quoted(names):
    return ", ".join(f"'{name}'" for name in names)


NAMES = "\nUNION ALL ".join(
    f"SELECT id, {column}::text AS name FROM {table} WHERE account_id = NEW.account_id AND legacy_kind = '{legacy}'"
    for _, legacy, table, column in TARGETS
)
POSTGRESQL = [
    f"""
    CREATE FUNCTION operators_setting_value(setting text, value text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE
            WHEN setting IN ({quoted(NUMBERS)}) THEN CASE WHEN value ~ '^-?[0-9]{{1,18}}$' THEN to_jsonb(value::bigint) END
            WHEN setting IN ({quoted(BOOLEANS)}) THEN to_jsonb(value = 'True')
            WHEN setting IN ({quoted(NULL_WHEN_EMPTY)}) AND value = '' THEN NULL
            ELSE to_jsonb(value)
        END
    $$
    """,
    """
    CREATE FUNCTION operators_setting_text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT left(coalesce(CASE value WHEN 'true' THEN 'True' WHEN 'false' THEN 'False' ELSE value #>> '{}' END, ''), 1000)
    $$
    """,
    f"""
    CREATE FUNCTION operators_setting_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        legacy_kind text := split_part(NEW.field, '.', 1);
        start text;
        found bigint[];
        names text[];
    BEGIN
        IF NEW.kind <> '' THEN
            NEW.field := left(CASE WHEN NEW.kind = 'account' THEN NEW.setting
                ELSE replace(NEW.kind, '_', '') || '.' || NEW.setting || '.' || NEW.target_name END, 60);
            NEW.old := operators_setting_text(NEW.before);
            NEW.new := operators_setting_text(NEW.after);
            RETURN NEW;
        END IF;
        NEW.kind := CASE legacy_kind {" ".join(f"WHEN '{legacy}' THEN '{kind}'" for kind, legacy, _, _ in TARGETS)} ELSE '' END;
        IF NEW.kind = '' OR position('.' in NEW.field) = 0 THEN
            NEW.kind := 'account';
            NEW.setting := NEW.field;
            NEW.target_id := NEW.account_id;
        ELSE
            NEW.setting := split_part(NEW.field, '.', 2);
            start := legacy_kind || '.' || NEW.setting || '.';
            SELECT array_agg(id), array_agg(name) INTO found, names
                FROM ({NAMES}) AS named WHERE left(start || name, 60) = NEW.field;
            IF cardinality(found) = 1 THEN
                NEW.target_id := found[1];
                NEW.target_name := names[1];
            ELSE
                NEW.target_name := substr(NEW.field, length(start) + 1);
            END IF;
        END IF;
        NEW.before := operators_setting_value(NEW.setting, NEW.old);
        NEW.after := operators_setting_value(NEW.setting, NEW.new);
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER operators_setting_change BEFORE INSERT OR UPDATE OF kind ON operators_settingchange
        FOR EACH ROW EXECUTE FUNCTION operators_setting_change()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER operators_setting_change ON operators_settingchange",
    "DROP FUNCTION operators_setting_change, operators_setting_value, operators_setting_text",
]

FIRST_DOT = "instr(NEW.field, '.')"
LEGACY_KIND = f"substr(NEW.field, 1, {FIRST_DOT} - 1)"
AFTER_KIND = f"substr(NEW.field, {FIRST_DOT} + 1)"
SECOND_DOT = f"instr({AFTER_KIND} || '.', '.')"
IS_OF_PART = f"{LEGACY_KIND} IN ({quoted(legacy for _, legacy, _, _ in TARGETS)})"


def sqlite_value(value):
    return f"""CASE
        WHEN setting IN ({quoted(NUMBERS)}) THEN
            CASE WHEN {value} = CAST(CAST({value} AS INTEGER) AS TEXT) THEN {value} END
        WHEN setting IN ({quoted(BOOLEANS)}) THEN CASE {value} WHEN 'True' THEN 'true' ELSE 'false' END
        WHEN setting IN ({quoted(NULL_WHEN_EMPTY)}) AND {value} = '' THEN NULL
        ELSE json_quote({value})
    END"""


def sqlite_text(value):
    return f"""substr(coalesce(CASE json_type({value}) WHEN 'true' THEN 'True' WHEN 'false' THEN 'False'
        ELSE json_extract({value}, '$') END, ''), 1, 1000)"""


SAME_NAME = "FROM {2} AS named WHERE account_id = NEW.account_id AND substr('{1}.' || setting || '.' || named.{3}, 1, 60) = NEW.field"
FROM_TEXT = f"""
    UPDATE operators_settingchange SET
        kind = CASE WHEN {IS_OF_PART} THEN
            CASE {LEGACY_KIND} {" ".join(f"WHEN '{legacy}' THEN '{kind}'" for kind, legacy, _, _ in TARGETS)} END
            ELSE 'account' END,
        target_id = CASE WHEN {IS_OF_PART} THEN NULL ELSE account_id END,
        setting = CASE WHEN {IS_OF_PART} THEN substr({AFTER_KIND}, 1, {SECOND_DOT} - 1) ELSE NEW.field END,
        target_name = CASE WHEN {IS_OF_PART} THEN substr({AFTER_KIND}, {SECOND_DOT} + 1) ELSE '' END
        WHERE id = NEW.id;
    UPDATE operators_settingchange SET "before" = {sqlite_value("old")}, "after" = {sqlite_value("new")} WHERE id = NEW.id;
""" + "".join(
    f"""
    UPDATE operators_settingchange SET
        target_id = (SELECT named.id {SAME_NAME.format(*target)}), target_name = (SELECT named.{target[3]} {SAME_NAME.format(*target)})
        WHERE id = NEW.id AND kind = '{target[0]}' AND (SELECT count(*) {SAME_NAME.format(*target)}) = 1;
    """
    for target in TARGETS
)
SQLITE = [
    f"""
    CREATE TRIGGER operators_setting_change_new AFTER INSERT ON operators_settingchange WHEN NEW.kind <> '' BEGIN
        UPDATE operators_settingchange SET
            field = substr(CASE NEW.kind WHEN 'account' THEN NEW.setting
                ELSE replace(NEW.kind, '_', '') || '.' || NEW.setting || '.' || NEW.target_name END, 1, 60),
            old = {sqlite_text('NEW."before"')}, new = {sqlite_text('NEW."after"')}
            WHERE id = NEW.id;
    END
    """,
    f"""
    CREATE TRIGGER operators_setting_change_legacy AFTER INSERT ON operators_settingchange WHEN NEW.kind = '' BEGIN {FROM_TEXT} END
    """,
    f"""
    CREATE TRIGGER operators_setting_change_again AFTER UPDATE OF kind ON operators_settingchange
        WHEN OLD.kind = '' AND NEW.kind = '' BEGIN {FROM_TEXT} END
    """,
]
SQLITE_BACK = [
    "DROP TRIGGER operators_setting_change_new",
    "DROP TRIGGER operators_setting_change_legacy",
    "DROP TRIGGER operators_setting_change_again",
]


def begin(apps, schema_editor):
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


def end(apps, schema_editor):
    for statement in POSTGRESQL_BACK if schema_editor.connection.vendor == "postgresql" else SQLITE_BACK:
        schema_editor.execute(statement, params=None)


def text_for_before(name, length):
    """The columns of the release before keep their names in the database; a default lets new rows leave them out."""
    field = models.CharField(blank=True, db_column=name, db_default="", editable=False, max_length=length)
    return [
        migrations.AlterField("settingchange", name, field),
        migrations.RenameField("settingchange", name, f"legacy_{name}"),
    ]


KINDS = [
    ("account", "account"), ("department", "department"), ("language", "language"), ("contact_field", "own contact field"),
    ("operator", "operator"),
]  # fmt: skip


class Migration(migrations.Migration):

    dependencies = [("operators", "0004_session_generation")]

    operations = [
        *text_for_before("field", 60),
        *text_for_before("old", 1000),
        *text_for_before("new", 1000),
        migrations.AddField(
            "settingchange", "kind", models.CharField(choices=KINDS, db_default="", max_length=20, verbose_name="kind")
        ),
        migrations.AddField("settingchange", "target_id", models.BigIntegerField(null=True)),
        migrations.AddField("settingchange", "target_name", models.TextField(blank=True, db_default="", verbose_name="name")),
        migrations.AddField("settingchange", "setting", models.CharField(db_default="", max_length=60, verbose_name="setting")),
        migrations.AddField("settingchange", "before", models.JSONField(null=True, verbose_name="from")),
        migrations.AddField("settingchange", "after", models.JSONField(null=True, verbose_name="to")),
        migrations.RunPython(begin, end),
    ]

r"""The search compares words as rule C7 says: folded, by numbers in any spelling, by parts of addresses and pairs of characters.

The functions that the triggers call are replaced in one short transaction: from then on every message is indexed the new way,
whoever writes it. What was written before is indexed again in batches, under the locks of its visitors and dialogs, so that a
message waits for one batch at most. An attempt that was interrupted can be repeated; it indexes everything once more.

Processes of the former release go on searching by their own forms of words, and miss words with diacritics until they are
restarted. On SQLite the triggers call functions of the process that writes, so what such a process writes is indexed the former way.

webim_offline.foundation.database.folding says the same in Python: change both together.
"""

from importlib import import_module

from django.db import migrations, transaction

BATCH = 500  # dialogs that are locked and indexed at a time

# A part that holds so many words is full; on SQLite it is counted in characters. Most words are there twice: as stem and as written.
MOST_WORDS, MOST_CHARACTERS = 2_000, 16_000
# A tsvector holds 1 MB, and one word may have 2 KB: so many bytes are enough as well, which are counted when there are some words.
MANY_WORDS, MOST_BYTES = 150, 300_000

UNSEEN = r"\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff"
CJK = (
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
JOINERS = r" \t\u00a0\u2007\u2009\u202f\-\u2010-\u2015\u2212()\[\]."
# letters and digits alone, so that the parser sees words and no addresses, hosts or negative numbers
PLAIN = r"""translate({}, '!"#$%&''()*+,-./:;<=>?@[\]^_`{{|}}~', repeat(' ', 32))"""
# the addresses of a text, with their letters and digits apart
ADDRESSES = r"""(
                SELECT coalesce(string_agg(' ' || regexp_replace(chunk, '([0-9]+)', ' \1 ', 'g'), ''), '')
                FROM regexp_split_to_table(folded, '\s+') AS chunk WHERE chunk ~ '@|://'
            )"""

POSTGRESQL = [
    "DROP TEXT SEARCH CONFIGURATION IF EXISTS dialogs_whole",
    "DROP TEXT SEARCH DICTIONARY IF EXISTS dialogs_whole_russian, dialogs_whole_english",
    # words as they are written, without the stop words of the configuration "russian", which also has English ones
    "CREATE TEXT SEARCH DICTIONARY dialogs_whole_russian (TEMPLATE = pg_catalog.simple, STOPWORDS = russian)",
    "CREATE TEXT SEARCH DICTIONARY dialogs_whole_english (TEMPLATE = pg_catalog.simple, STOPWORDS = english)",
    "CREATE TEXT SEARCH CONFIGURATION dialogs_whole (COPY = pg_catalog.simple)",
    "ALTER TEXT SEARCH CONFIGURATION dialogs_whole ALTER MAPPING FOR asciiword WITH dialogs_whole_english",
    "ALTER TEXT SEARCH CONFIGURATION dialogs_whole ALTER MAPPING FOR word WITH dialogs_whole_russian",
    # ordinary Russian and English texts skip what is inside the condition
    rf"""
    CREATE OR REPLACE FUNCTION dialogs_search_folded(said text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        folded text := lower(normalize(said, NFC));
    BEGIN
        IF folded ~ '[\u0080-\u03ff\u1e00-\u1fff{UNSEEN}]' THEN
            folded := regexp_replace(folded, '[{UNSEEN}]+', '', 'g');
            folded := translate(normalize(folded, NFD), 'øłđðħŧıςµſ', 'olddhtiσμs');
            folded := replace(replace(replace(replace(folded, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
            folded := normalize(regexp_replace(folded, '([a-z\u03b1-\u03c9])[\u0300-\u036f]+', '\1', 'g'), NFC);
            folded := regexp_replace(folded, '[\u0300-\u036f]+', '', 'g');
        END IF;
        RETURN translate(folded, 'ё', 'е');
    END $$
    """,
    # joined numbers, and the last ten digits of everything that may be a telephone number
    rf"""
    CREATE OR REPLACE FUNCTION dialogs_search_numbers(folded text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        WITH digits AS MATERIALIZED (
            SELECT run.place AS run, part.digits[1] AS part,
                sum(length(part.digits[1])) OVER (PARTITION BY run.place ORDER BY part.place) AS done
            FROM regexp_matches(folded, '[0-9]+(?:[{JOINERS}]{{1,4}}[0-9]+)*', 'g') WITH ORDINALITY AS run(text, place),
                regexp_matches(run.text[1], '[0-9]+', 'g') WITH ORDINALITY AS part(digits, place)
        ), whole AS MATERIALIZED (
            SELECT run, string_agg(part, '' ORDER BY done) AS text, count(*) AS parts FROM digits GROUP BY run
        )
        SELECT array(
            SELECT text FROM whole WHERE parts > 1 AND length(text) <= 30
            UNION SELECT right(text, 10) FROM whole WHERE length(text) BETWEEN 11 AND 15
            UNION SELECT right(part, 10) FROM digits WHERE length(part) BETWEEN 12 AND 15
            UNION SELECT substr(whole.text, last.done::int - 9, 10)
                FROM digits AS last CROSS JOIN (VALUES (10), (11)) AS phone(size)
                JOIN digits AS first ON first.run = last.run AND first.done - length(first.part) = last.done - phone.size
                JOIN whole ON whole.run = last.run
                WHERE phone.size = 10 OR left(first.part, 1) IN ('7', '8')
        )
    $$
    """,
    rf"""
    CREATE OR REPLACE FUNCTION dialogs_search_words(said text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        folded text := dialogs_search_folded(said);
        plain text := {PLAIN.format("folded")};
        more text[] := '{{}}';
    BEGIN
        IF folded ~ '[0-9@:{CJK}]' THEN
            IF folded ~ '[0-9][{JOINERS}]+[0-9]|[0-9]{{11}}' THEN
                more := dialogs_search_numbers(folded);
            END IF;
            IF folded ~ '@|://' THEN
                plain := plain || {PLAIN.format(ADDRESSES)};
            END IF;
            IF plain ~ '[{CJK}]' THEN
                more := more || array(
                    SELECT sign.text || coalesce(lead(sign.text) OVER (PARTITION BY run.place ORDER BY sign.place), '')
                    FROM regexp_matches(plain, '[{CJK}]+', 'g') WITH ORDINALITY AS run(text, place),
                        string_to_table(run.text[1], NULL) WITH ORDINALITY AS sign(text, place)
                );
                plain := regexp_replace(plain, '[{CJK}]+', ' ', 'g');
            END IF;
        END IF;
        RETURN strip(to_tsvector('russian', plain)) || strip(to_tsvector('dialogs_whole', plain)) || array_to_tsvector(more);
    END $$
    """,
    # the account is a word too, one that nobody can type: a search begins in its own account
    """
    CREATE OR REPLACE FUNCTION dialogs_search_contacts(account bigint, name text, email text, phone text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT array_to_tsvector(ARRAY['@' || account])
            || dialogs_search_words(name || chr(10) || email || chr(10) || phone)
            || strip(to_tsvector('simple', digits || ' ' || right(digits, 10)))
        FROM regexp_replace(phone, '[^0-9]', '', 'g') AS digits
    $$
    """,
    f"""
    CREATE OR REPLACE FUNCTION dialogs_search_message() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        added tsvector := dialogs_search_words(NEW.text);
        part bigint;
        known tsvector;
    BEGIN
        SELECT id, words INTO part, known FROM dialogs_searchtext WHERE dialog_id = NEW.dialog_id
            ORDER BY id DESC LIMIT 1 FOR NO KEY UPDATE;
        IF part IS NULL OR length(known) >= {MOST_WORDS}
            OR (length(known) >= {MANY_WORDS} AND octet_length(known::text) >= {MOST_BYTES}) THEN
            INSERT INTO dialogs_searchtext (dialog_id, words, contacts)
                SELECT d.id, added, dialogs_search_contacts(d.account_id, v.name, v.email, v.phone)
                FROM dialogs_dialog d JOIN dialogs_visitor v ON v.id = d.visitor_id WHERE d.id = NEW.dialog_id;
        ELSIF NOT tsvector_to_array(known) @> tsvector_to_array(added) THEN
            UPDATE dialogs_searchtext SET words = known || added WHERE id = part;
        END IF;
        RETURN NULL;
    END $$
    """,
    # By so many characters a part stays far below the 1 MB that a tsvector can hold. Numbers are not joined over messages.
    """
    CREATE OR REPLACE FUNCTION dialogs_search_again(lowest bigint, highest bigint) RETURNS void LANGUAGE sql AS $$
        DELETE FROM dialogs_searchtext WHERE dialog_id BETWEEN lowest AND highest;
        INSERT INTO dialogs_searchtext (dialog_id, words, contacts)
            SELECT d.id, said.words, dialogs_search_contacts(d.account_id, v.name, v.email, v.phone)
            FROM (
                SELECT dialog_id, part, dialogs_search_words(string_agg(text, chr(10))) AS words
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
]
POSTGRESQL_BACK = [
    "DROP FUNCTION dialogs_search_words, dialogs_search_numbers, dialogs_search_folded",
    "DROP TEXT SEARCH CONFIGURATION dialogs_whole",
    "DROP TEXT SEARCH DICTIONARY dialogs_whole_russian, dialogs_whole_english",
]
REPLACED = ("dialogs_search_contacts", "dialogs_search_message", "dialogs_search_again")

CONTACTS = (
    "search_words({0}.name || char(10) || {0}.email || char(10) || {0}.phone || char(10) || search_digits({0}.phone))"
)
INDEXED_AGAIN = f"""
    INSERT INTO dialogs_searchtext (dialog_id, words, contacts)
        SELECT d.id, search_words(group_concat(m.text, char(10))), {CONTACTS.format("v")}
        FROM dialogs_message m JOIN dialogs_dialog d ON d.id = m.dialog_id JOIN dialogs_visitor v ON v.id = d.visitor_id
        WHERE m.kind <> 'system' {{}} GROUP BY d.id
"""
CHANGED = f"""
    DELETE FROM dialogs_searchtext WHERE dialog_id = OLD.dialog_id;
    {INDEXED_AGAIN.format("AND d.id = OLD.dialog_id")};
"""
SQLITE_DROP = [
    "DROP TRIGGER dialogs_search_message",
    "DROP TRIGGER dialogs_search_rewritten",
    "DROP TRIGGER dialogs_search_deleted",
    "DROP TRIGGER dialogs_search_visitor",
    "DROP TABLE dialogs_searchtext_index",
]
SQLITE = [
    # the words are cut already: whatever is not ASCII belongs to one, marks and letters that SQLite does not know as well
    """
    CREATE VIRTUAL TABLE dialogs_searchtext_index USING fts5(
        words, contacts, content='dialogs_searchtext', content_rowid='id', tokenize='ascii', detail=none
    )
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
REBUILT = "INSERT INTO dialogs_searchtext_index (dialogs_searchtext_index) VALUES ('rebuild')"


def fold(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor == "postgresql":
        execute(connection, POSTGRESQL)
    else:
        execute(connection, [*SQLITE_DROP, *SQLITE, REBUILT])
    index_dialogs_again(apps, connection, INDEXED_AGAIN)


def as_before(apps, schema_editor):
    connection = schema_editor.connection
    former = import_module("dialogs.migrations.0002_search")
    if connection.vendor == "postgresql":
        replaced = [one for one in former.POSTGRESQL if any(f"CREATE FUNCTION {name}(" in one for name in REPLACED)]
        execute(connection, [one.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION") for one in replaced])
        index_dialogs_again(apps, connection, former.INDEXED_AGAIN)
        execute(connection, POSTGRESQL_BACK)
    else:
        made_again = [one for one in former.SQLITE if "VIRTUAL TABLE" in one or "TRIGGER dialogs_search_" in one]
        execute(connection, [*SQLITE_DROP, *made_again, REBUILT])
        index_dialogs_again(apps, connection, former.INDEXED_AGAIN)


def execute(connection, statements):
    with connection.schema_editor(atomic=True) as editor:
        for statement in statements:
            editor.execute(statement, params=None)


def index_dialogs_again(apps, connection, indexed_again):
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
                cursor.execute(indexed_again.format("AND d.id BETWEEN %s AND %s"), [lowest, highest])
        last = highest


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("dialogs", "0013_texts_from_before")]

    operations = [migrations.RunPython(fold, as_before)]

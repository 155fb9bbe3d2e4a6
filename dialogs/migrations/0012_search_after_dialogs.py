"""Contacts that change lock the visitor's dialogs before the texts that the search reads of them.

A message locks its dialog and then, by a trigger, that dialog's text. Contacts that changed locked the texts first, and whoever
changed them locked the dialogs afterwards: an answer that was sent at the same moment could end in a deadlock. SQLite has one
writer at a time and needs nothing.
"""

from django.db import migrations

FUNCTION = """
    CREATE OR REPLACE FUNCTION dialogs_search_visitor() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {lock}
        UPDATE dialogs_searchtext SET contacts = dialogs_search_contacts(NEW.account_id, NEW.name, NEW.email, NEW.phone)
            WHERE dialog_id IN (SELECT id FROM dialogs_dialog WHERE visitor_id = NEW.id);
        RETURN NULL;
    END $$
"""
LOCK = "PERFORM 1 FROM dialogs_dialog WHERE visitor_id = NEW.id ORDER BY id FOR NO KEY UPDATE;"


def lock_dialogs_first(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION.format(lock=LOCK), params=None)


def as_before(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION.format(lock=""), params=None)


class Migration(migrations.Migration):

    dependencies = [("dialogs", "0011_operator_key_once_a_dialog")]

    operations = [migrations.RunPython(lock_dialogs_first, as_before)]

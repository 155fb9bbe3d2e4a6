import unicodedata

from django.db import migrations

AT_ONCE = 500


def login_key(login):
    plain = unicodedata.normalize("NFKC", login).strip()
    return unicodedata.normalize("NFKC", plain.casefold()).strip()[:255]


def fill(apps, schema_editor):
    """Give each person the form in which logins are compared. A release from before leaves it empty, and so it may be for a while."""
    people = apps.get_model("operators", "Operator").objects.using(schema_editor.connection.alias)
    after = 0
    while rows := list(people.filter(pk__gt=after).order_by("pk").only("pk", "username")[:AT_ONCE]):
        for person in rows:
            people.filter(pk=person.pk, username=person.username).update(login_key=login_key(person.username))
        after = rows[-1].pk


class Migration(migrations.Migration):
    atomic = False  # batches, each row by itself: nobody waits for the whole table, and an attempt can be repeated
    dependencies = [("operators", "0008_login_key")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]

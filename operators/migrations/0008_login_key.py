import unicodedata

from django.db import migrations, models

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
    atomic = False  # batches, each row by itself: nobody waits for the whole table

    dependencies = [
        ("operators", "0007_clock_set_back"),
    ]

    operations = [
        migrations.AddField(
            model_name="operator",
            name="login_key",
            field=models.CharField(db_default="", db_index=True, editable=False, max_length=255),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]

from django.db import migrations, models
from django.db.models import F


def count_from_the_assignment(apps, schema_editor):
    apps.get_model("dialogs", "Dialog").objects.filter(assigned_at__isnull=False).update(pickup_from=F("assigned_at"))


class Migration(migrations.Migration):
    dependencies = [("dialogs", "0004_held_by_kind")]

    operations = [
        migrations.AddField(model_name="dialog", name="pickup_from", field=models.DateTimeField(null=True)),
        migrations.RunPython(count_from_the_assignment, migrations.RunPython.noop),
    ]

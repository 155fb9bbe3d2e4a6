import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The table of duties alone: each migration takes one strong lock of a busy table, so that none can deadlock with actions."""

    dependencies = [("dialogs", "0007_visitor_not_kept")]

    operations = [
        migrations.CreateModel(
            name="Duty",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("purpose", models.CharField(max_length=40)),
                ("due_at", models.DateTimeField()),
                ("since", models.DateTimeField()),
                ("first_revision", models.BigIntegerField()),
                ("last_revision", models.BigIntegerField()),
                (
                    "dialog",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="duties", to="dialogs.dialog"),
                ),
            ],
            options={
                "verbose_name_plural": "duties",
                "indexes": [models.Index(fields=["purpose", "due_at"], name="duty_due")],
                "constraints": [models.UniqueConstraint(fields=("dialog", "purpose"), name="one_open_duty_a_purpose")],
            },
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dialogs", "0005_pickup_from")]

    operations = [
        migrations.AddField(
            model_name="visitor",
            name="is_kept",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]

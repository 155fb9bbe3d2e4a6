from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operators", "0007_clock_set_back")]

    operations = [
        migrations.AddField(
            model_name="operator",
            name="login_key",
            field=models.CharField(db_default="", db_index=True, editable=False, max_length=255),
        ),
    ]

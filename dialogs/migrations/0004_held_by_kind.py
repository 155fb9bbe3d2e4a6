from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dialogs", "0003_queues"), ("operators", "0002_queues")]

    operations = [
        migrations.RemoveIndex(model_name="dialog", name="dialog_held"),
        migrations.AddIndex(
            model_name="dialog",
            index=models.Index(
                condition=models.Q(("in_workspace", True), ("operator__isnull", False), ("state__in", ("queue", "chatting"))),
                fields=["account", "operator", "is_offline"],
                name="dialog_held",
            ),
        ),
    ]

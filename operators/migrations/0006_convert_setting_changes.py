"""Changes of settings that are stored already get the new columns, in batches, each in a transaction of its own.

A name of today may have been somebody else's before: departments are renamed, deleted and made anew. So the rows are read from the
newest to the oldest, and each change of a name is undone on the way. Run again after an interruption, it begins from the start;
rows that are converted already stay as they are.
"""

from django.db import migrations, transaction

AT_ONCE = 1000
NAMED_BY = {"department": "slug", "language": "code", "contact_field": "label"}


def convert(apps, schema_editor):
    SettingChange = apps.get_model("operators", "SettingChange")
    Operator = apps.get_model("operators", "Operator")
    owners = {}  # (account, kind, name) -> the id of whoever had the name at this point of the way back; None: nobody known
    before = None
    while True:
        rows = SettingChange.objects.order_by("-pk")
        rows = list((rows if before is None else rows.filter(pk__lt=before)).values_list("pk", flat=True)[:AT_ONCE])
        if not rows:
            return
        before = rows[-1]
        with transaction.atomic():
            SettingChange.objects.filter(pk__in=rows, kind="").update(kind="")  # the triggers of 0005 do the rest
            changes = list(SettingChange.objects.filter(pk__in=rows).exclude(kind="account").order_by("-pk"))
            joined = dict(
                Operator.objects.filter(pk__in=[change.target_id for change in changes if change.kind == "operator"]).values_list(
                    "pk", "created_at"
                )
            )
            for change in changes:
                owner = _owner(change, owners)
                if change.kind == "operator" and owner is not None and joined[owner] > change.at:
                    owner = None  # somebody who has got a login that was free again
                if owner != change.target_id:
                    change.target_id = owner
                    change.save(update_fields=["target_id"])


def _owner(change, owners):
    """Whose change this is; takes back in `owners` what it did to names."""
    place = (change.account_id, change.kind, change.target_name)
    owner = owners.get(place, change.target_id)
    if change.setting in {"added", "deleted"}:
        owners[place] = None
    elif change.setting == NAMED_BY.get(change.kind):
        owners[place] = None
        owners[change.account_id, change.kind, change.before] = owner
    return owner


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("operators", "0005_setting_change_columns")]
    operations = [migrations.RunPython(convert, migrations.RunPython.noop)]

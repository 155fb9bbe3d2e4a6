"""Names and labels that were typed before are stored like those that are typed now (C1). These tables are small.

A label that would then be the same as another one of its account stays as it is.
"""

import re
import unicodedata

from django.db import migrations

NAMED = {"Account": ("name",), "Department": ("name",), "Operator": ("name",), "ContactField": ("label",)}
TAKEN_OUT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def cleaned_line(text):
    return unicodedata.normalize("NFC", " ".join(TAKEN_OUT.sub("", text).split()))


def convert(apps, schema_editor):
    for model, columns in NAMED.items():
        rows = apps.get_model("operators", model).objects
        for column in columns:
            for pk, before in rows.order_by("pk").values_list("pk", column):
                # some letters are two in NFC; what became too long for its column loses its end
                after = cleaned_line(before)[: rows.model._meta.get_field(column).max_length]
                if after == before or (column == "label" and _is_taken(rows, pk, after)):
                    continue
                rows.filter(pk=pk, **{column: before}).update(**{column: after})


def _is_taken(rows, pk, label):
    return rows.filter(account__in=rows.filter(pk=pk).values("account"), label=label).exclude(pk=pk).exists()


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("operators", "0009_login_keys")]
    operations = [migrations.RunPython(convert, migrations.RunPython.noop)]

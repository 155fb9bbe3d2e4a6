"""What people typed before is stored like what they type now (C1): composed, and without what is no part of a text.

Rows are read in batches without a lock. Where some of a batch have to change, their visitors and dialogs are locked, visitors first
and each in their order, and each row is only changed if it still holds what was read: whoever wrote meanwhile wrote last. An attempt
that was interrupted can be repeated; rows that are converted stay as they are. Processes of the former release that still run write
texts as before; `manage.py migrate dialogs 0012` and `manage.py migrate` convert them later.
"""

import re
import unicodedata

from django.db import migrations, transaction

AT_ONCE = 1000
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def cleaned(text):
    return unicodedata.normalize("NFC", re.sub("\r\n?", "\n", UNSTORABLE.sub("", text)))


def cleaned_line(text):
    return unicodedata.normalize("NFC", " ".join(TURNING.sub("", cleaned(text)).split()))


def cleaned_answers(own_fields):
    return {cleaned_line(label): cleaned_line(answer) for label, answer in own_fields.items()}


def convert(apps, schema_editor):
    Visitor, Dialog, Message = (apps.get_model("dialogs", name) for name in ("Visitor", "Dialog", "Message"))
    said = Message.objects.exclude(kind="system")
    lines = {"name": cleaned_line, "email": cleaned_line, "phone": cleaned_line, "own_fields": cleaned_answers}
    convert_rows(apps, Visitor.objects.all(), "pk", lines)
    convert_rows(apps, said, "dialog__visitor", {"text": cleaned})
    convert_rows(apps, Dialog.objects.all(), "visitor", {"last_text": cleaned_line, "page_title": cleaned_line})


def convert_rows(apps, rows, visitor, cleaning):
    """Clean the columns of these rows; `cleaning` has the function of each, and `visitor` leads from a row to its visitor."""
    longest = {column: getattr(rows.model._meta.get_field(column), "max_length", None) for column in cleaning}
    after = 0
    while batch := list(rows.filter(pk__gt=after).order_by("pk").values("pk", visitor, *cleaning)[:AT_ONCE]):
        after = batch[-1]["pk"]
        wrong = []
        for row in batch:
            before = {column: row[column] for column in cleaning}
            clean = {column: clean_value(before[column]) for column, clean_value in cleaning.items()}
            # some letters are two in NFC; what became too long for its column loses its end
            clean |= {column: clean[column][:most] for column, most in longest.items() if most}
            if clean != before:
                wrong.append((row["pk"], before, clean))
        if not wrong:
            continue
        with transaction.atomic():
            lock(apps, {row[visitor] for row in batch if row["pk"] in {pk for pk, _before, _clean in wrong}})
            for pk, before, clean in wrong:
                rows.filter(pk=pk, **before).update(**clean)


def lock(apps, visitor_ids):
    Visitor, Dialog = (apps.get_model("dialogs", name) for name in ("Visitor", "Dialog"))
    for found in (Visitor.objects.filter(pk__in=visitor_ids), Dialog.objects.filter(visitor__in=visitor_ids)):
        list(found.order_by("pk").select_for_update(no_key=True).values_list("pk"))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("dialogs", "0012_search_after_dialogs")]
    operations = [migrations.RunPython(convert, migrations.RunPython.noop)]

"""A process of a release from before the search had an index: its models are those of dialogs' first migration.

python -m tests.crash.unsearched fill 2000     makes dialogs with messages, as that release stored them
python -m tests.crash.unsearched write         writes messages and contacts until its standard input ends, then says in JSON what
"""

import itertools
import json
import os
import random
import select
import sys
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402 - Django must be set up first
from django.db.migrations.loader import MigrationLoader  # noqa: E402
from django.utils import timezone  # noqa: E402

FIRST = (("operators", "0001_initial"), ("dialogs", "0001_initial"))
BATCH = 2000


class FirstRelease:
    """Its models. Whoever writes a message locks the dialog, whoever changes contacts the visitor."""

    def __init__(self) -> None:
        apps = MigrationLoader(connection).project_state(list(FIRST)).apps
        self.Account, self.Language = (apps.get_model("operators", name) for name in ("Account", "Language"))
        self.Dialog, self.Message, self.Visitor = (apps.get_model("dialogs", name) for name in ("Dialog", "Message", "Visitor"))

    def fill(self, count: int) -> None:
        """`count` dialogs with two messages each. Their words tell their numbers: word7, and visitor7 as the visitor's name."""
        now = timezone.now()
        account = self.Account.objects.create(slug="tea", name="North Tea", timeouts_changed_at=now)
        language = self.Language.objects.create(account=account, code="en", position=0)
        for first in range(0, count, BATCH):
            numbers = range(first + 1, min(first + BATCH, count) + 1)
            with transaction.atomic():
                visitors = self.Visitor.objects.bulk_create(
                    self.Visitor(account=account, token_digest=f"{number:064d}", name=f"visitor{number}") for number in numbers
                )
                dialogs = self.Dialog.objects.bulk_create(
                    self.Dialog(
                        account=account, number=number, visitor=visitor, language=language, start_state="offline", created_at=now,
                        last_message_at=now, revision=2,
                    )
                    for visitor, number in zip(visitors, numbers, strict=True)
                )  # fmt: skip
                self.Message.objects.bulk_create(
                    self.message(dialog, text, revision)
                    for dialog in dialogs
                    for revision, text in enumerate((f"The order word{dialog.number}", "It never came to us"), start=1)
                )

    def message(self, dialog: Any, text: str, revision: int) -> Any:
        return self.Message(
            dialog=dialog, kind="visitor", visitor_id=dialog.visitor_id, text=text, at=timezone.now(), revision=revision
        )

    def write(self) -> dict[str, Any]:
        """Until standard input ends.

        {"messages": {word: dialog number}, "names": {dialog number: the visitor's new name}, "slowest": seconds of a step}
        """
        messages, names, slowest = {}, {}, 0.0
        last = self.Dialog.objects.count()
        print("ready", flush=True)
        for serial in itertools.count():
            if select.select([sys.stdin], [], [], 0.005)[0]:
                break
            number, began = random.randint(1, last), time.monotonic()
            if serial % 5:
                self.say(number, f"later{serial}", serial + 3)
                messages[f"later{serial}"] = number
            else:
                names[number] = f"renamed{serial}"
                self.rename(number, names[number])
            slowest = max(slowest, time.monotonic() - began)
        return {"messages": messages, "names": names, "slowest": round(slowest, 3)}

    def say(self, number: int, word: str, revision: int) -> None:
        with transaction.atomic():
            dialog = self.Dialog.objects.select_for_update(no_key=True).get(number=number)
            self.message(dialog, f"We waited until {word}", revision).save(force_insert=True)

    def rename(self, number: int, name: str) -> None:
        with transaction.atomic():
            visitor = self.Visitor.objects.select_for_update(no_key=True).get(token_digest=f"{number:064d}")
            visitor.name = name
            visitor.save(update_fields=["name"])


if __name__ == "__main__":
    release = FirstRelease()
    if sys.argv[1] == "fill":
        release.fill(int(sys.argv[2]))
    else:
        print(json.dumps(release.write()), flush=True)

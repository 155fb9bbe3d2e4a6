"""A process of the former release on whatever schema it finds: its models are those of the former migrations.

    python -m tests.crash.former_process fill 100000     makes accounts, dialogs and their history, as that release stored them
    python -m tests.crash.former_process live            keeps working until its standard input ends, then says in JSON how it went

Django's historical models know exactly the columns that the former release knew, so their statements are those of its processes.
"""

import json
import os
import secrets
import select
import sys
import time
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
django.setup()

from django.core.management.color import no_style  # noqa: E402 - Django must be set up first
from django.db import connection, transaction  # noqa: E402
from django.db.migrations.loader import MigrationLoader  # noqa: E402
from django.utils import timezone  # noqa: E402

# where the release before the one that is being built ended; a new release puts its own last migrations here
FORMER = (("operators", "0004_session_generation"), ("dialogs", "0007_visitor_not_kept"), ("notifications", "0001_initial"))
UNHANDLED = 200  # dialogs whose letter is due, and nobody has written it yet
EMAIL = "left@tea.example"


class FormerRelease:
    """The former release's models, and the moment by which everything is stamped."""

    def __init__(self) -> None:
        apps = MigrationLoader(connection).project_state(list(FORMER)).apps
        for name in ("Account", "Department", "Language", "Operator", "SettingChange"):
            setattr(self, name, apps.get_model("operators", name))
        for name in ("Visitor", "Dialog", "DialogEvent", "Message", "Numbering"):
            setattr(self, name, apps.get_model("dialogs", name))

    def __getattr__(self, name: str) -> Any:  # the models set above
        raise AttributeError(name)

    def make_account(self) -> tuple[Any, Any, Any, Any]:
        """An account with a department, a language and an operator."""
        now = timezone.now()
        account = self.Account.objects.create(slug="tea", name="North Tea", left_messages_email=EMAIL, timeouts_changed_at=now)
        department = self.Department.objects.create(account=account, slug="support", name="Support")
        language = self.Language.objects.create(account=account, code="en", position=0)
        operator = self.Operator._base_manager.create(username="ann", name="Ann", account=account, password="!", role="operator")
        self.Numbering.objects.create(account=account, last_number=0)
        return account, department, language, operator

    def fill(self, count: int) -> None:
        """`count` dialogs, each with three events in the former form; one in ten has a message.

        The last UNHANDLED dialogs wait for their letter, and all of these have a message.
        """
        account, department, language, operator = self.make_account()
        began = timezone.now() - timedelta(hours=2)
        self.SettingChange.objects.bulk_create(
            self.SettingChange(account=account, at=began, actor=None, field=field, old=old, new=new, handled_at=began)
            for field, old, new in (
                ("offline_after", "1200", "600"),
                ("left_messages_email", "", EMAIL),
                ("department.pickup_timeout.support", "", "30"),
                ("department.added.gone", "", "Gone"),
                ("operator.max_online_dialogs.ann", "", "5"),
            )
        )
        handled = count - UNHANDLED
        made = (1, *range(handled + 1, count + 1))  # the others are copies of the first
        visitors = self.Visitor.objects.bulk_create(self.visitor(account, number, began) for number in made)
        dialogs = self.Dialog.objects.bulk_create(
            self.dialog(account, department, language, visitor, number, began, pk=number)
            for visitor, number in zip(visitors, made, strict=True)
        )
        self.tell(dialogs, operator, began, wait_after=handled)
        self.Message.objects.bulk_create([self.message(dialogs[0], began)])
        self.copy_first(handled)
        self.Numbering.objects.filter(account=account).update(last_number=count)

    def copy_first(self, last: int) -> None:
        """What the first dialog has, for each number n up to `last`, made by the database in seconds; a message for every tenth."""
        copies = (
            (self.Visitor, "id = 1", 1, {"id": "n", "token_digest": "CAST(n AS varchar(64))", "name": "'Visitor ' || n"}),
            (self.Dialog, "id = 1", 1, {"id": "n", "number": "n", "visitor_id": "n"}),
            (self.DialogEvent, "dialog_id = 1", 1, {"dialog_id": "n"}),
            (self.Message, "dialog_id = 1", 10, {"dialog_id": "n", "visitor_id": "n", "client_key": "'key-' || n"}),
        )
        with transaction.atomic(), connection.cursor() as cursor:
            for model, first, every, changed in copies:
                kept = [field.column for field in model._meta.concrete_fields if field.column not in {"id", *changed}]
                cursor.execute(f"""
                    WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
                    INSERT INTO {model._meta.db_table} ({", ".join([*kept, *changed])})
                    SELECT {", ".join([*kept, *changed.values()])} FROM {model._meta.db_table}, numbers
                    WHERE {first} AND n % {every} = 0
                """)
            models = [model for model, *_ in copies]
            for statement in connection.ops.sequence_reset_sql(no_style(), models):
                cursor.execute(statement)

    def visitor(self, account: Any, number: int, left_at: Any) -> Any:
        return self.Visitor(pk=number, account=account, token_digest=f"{number:064d}", name=f"Visitor {number}", left_at=left_at)

    def dialog(self, account: Any, department: Any, language: Any, visitor: Any, number: int, at: Any, **more: Any) -> Any:
        return self.Dialog(
            **more,
            account=account,
            number=number,
            visitor=visitor,
            department=department,
            language=language,
            start_state="offline",
            is_offline=True,
            evidence={"at": at.isoformat(), "department": "Support", "language": "en", "lease": 60, "in_all": 0, "candidates": []},
            created_at=at,
            waiting_since=at,
            last_message_at=at,
            last_text="Where is my order?",
            revision=4,
        )

    def tell(self, dialogs: list[Any], operator: Any, at: Any, *, wait_after: int) -> None:
        """Three events of each dialog, and a message of those that wait for their letter."""
        before, target = {"from_department": "Support"}, {"operator": operator.pk, "who": "Ann", "warned": ["at_limit"]}
        events, messages = [], []
        for dialog in dialogs:
            is_waiting = dialog.number > wait_after
            told = (
                (1, "started", None, {"to": "offline"}, None if is_waiting else at),
                (3, "transferred", operator, before | {"to": "operator"} | target, at),
                (4, "transferred", operator, before | {"to": "queue", "queue": "offline", "from": "Ann"}, at),
            )
            events += [
                self.DialogEvent(
                    account_id=dialog.account_id,
                    dialog=dialog,
                    kind=kind,
                    at=at,
                    actor=actor,
                    data=data,
                    revision=revision,
                    handled_at=handled_at,
                )
                for revision, kind, actor, data, handled_at in told
            ]
            if is_waiting:
                messages.append(self.message(dialog, at))
        self.DialogEvent.objects.bulk_create(events)
        self.Message.objects.bulk_create(messages)

    def message(self, dialog: Any, at: Any) -> Any:
        return self.Message(
            dialog=dialog,
            kind="visitor",
            visitor_id=dialog.visitor_id,
            text="Where is my order?",
            at=at,
            revision=2,
            client_key=f"key-{dialog.number}",
        )

    def start_dialog(self, token: str) -> None:
        """A visitor who leaves a message, as the former release writes one: visitor, dialog, event, message in one transaction."""
        now = timezone.now()
        with transaction.atomic():
            account = self.Account.objects.get(slug="tea")
            visitor = self.Visitor.objects.create(account=account, token_digest=token)
            self.Numbering.objects.filter(account=account).update(last_number=self.next_number(account))
            number = self.Numbering.objects.get(account=account).last_number
            department, language = account.departments.get(slug="support"), account.languages.get()
            dialog = self.dialog(account, department, language, visitor, number, now)
            dialog.save(force_insert=True)
            operator = self.Operator._base_manager.get(username="ann")
            self.tell([dialog], operator, now, wait_after=0)

    def next_number(self, account: Any) -> int:
        return self.Numbering.objects.select_for_update().get(account=account).last_number + 1

    def change_setting(self, seconds: int) -> None:
        """A supervisor changes how long a dialog waits for its operator; the change waits for the clock worker."""
        with transaction.atomic():
            account = self.Account.objects.select_for_update().get(slug="tea")
            before, account.pickup_timeout = account.pickup_timeout, seconds
            account.save(update_fields=["pickup_timeout"])
            self.SettingChange.objects.create(
                account=account, at=timezone.now(), actor=None, field="pickup_timeout", old=str(before), new=str(seconds)
            )

    def live(self) -> dict[str, Any]:
        """Work until standard input ends; how many dialogs were started, the slowest step in seconds, and what failed."""
        started, slowest, failed = 0, 0.0, []
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0.01)[0]:
            began = time.monotonic()
            try:
                self.start_dialog(secrets.token_hex(32))
                started += 1
                if started % 10 == 0:
                    self.change_setting(60 + started)
                list(
                    self.Dialog.objects.filter(state="queue", operator=None).order_by("-pk").values_list("number", "last_text")[:50]
                )
                list(self.DialogEvent.objects.order_by("-pk").values_list("kind", "data", "handled_at")[:50])
            except Exception as error:  # noqa: BLE001 - whatever it is, the report names it
                failed.append(f"{type(error).__name__}: {error}"[:300])
            slowest = max(slowest, time.monotonic() - began)
        return {"started": started, "slowest": round(slowest, 3), "failed": failed[:5], "failures": len(failed)}


if __name__ == "__main__":
    release = FormerRelease()
    if sys.argv[1] == "fill":
        release.fill(int(sys.argv[2]))
    else:
        print(json.dumps(release.live()), flush=True)

"""`manage.py check_start_states`: does the history of availability give every dialog's stored start state (S2, A4)?"""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from dialogs.models import Dialog, StartState
from operators.history import Replay
from operators.models import Account

MOST_SHOWN = 100


class Command(BaseCommand):
    help = "Asks the history of availability for every dialog's start moment and names each dialog that started otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", help="only this account (its short name)")

    def handle(self, *args: object, account: str | None = None, **options: object) -> None:
        accounts = Account.objects.order_by("pk")
        if account is not None:
            accounts = accounts.filter(slug=account)
            if not accounts.exists():
                raise CommandError(f"There is no account {account!r}.")
        checked = different = 0
        for row in accounts.iterator():
            history = Replay(row)
            dialogs = Dialog.objects.filter(account=row).order_by("created_at", "pk")
            columns = dialogs.values_list("number", "created_at", "department_id", "language_id", "start_state")
            for number, at, department_id, language_id, stored in columns.iterator(chunk_size=5000):
                checked += 1
                expected = StartState.ONLINE if history.is_online(at, (department_id, language_id)) else StartState.OFFLINE
                if stored == expected:
                    continue
                different += 1
                if different <= MOST_SHOWN:
                    self.stdout.write(f"{row.slug} #{number}: started {stored}, by the history {expected} ({at.isoformat()})")
        if different:
            raise CommandError(f"{different} of {checked} dialogs started otherwise than the history says.")
        self.stdout.write(f"{checked} dialogs: every start state agrees with the history.")

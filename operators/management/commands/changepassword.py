"""`manage.py changepassword LOGIN`: Django's own command, which alone would leave the person's workspaces open."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword

from operators.actions.people import end_workspaces
from operators.models import Operator
from webim_offline.foundation.logs.security import Event, Outcome, record


class Command(changepassword.Command):
    help = "Gives somebody another password: whoever is signed in with the old one is signed out, workspaces included."

    def handle(self, *args: Any, **options: Any) -> str | None:
        said = super().handle(*args, **options)
        operator = Operator.objects.get_by_natural_key(options["username"] or getpass.getuser())
        end_workspaces(operator)
        record(Event.PASSWORD, Outcome.DONE, operator_id=operator.pk, account_id=operator.account_id, reason="command line")
        return said

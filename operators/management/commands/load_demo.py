"""`manage.py load_demo`: the demo account of interfaces.md, once."""

from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from operators import demo
from operators.actions.accounts import create_account
from operators.actions.parts import save_part
from operators.actions.people import create_operator
from operators.models import Account, Department, Operator, Role


class Command(BaseCommand):
    help = "Loads the demo account into the embedded database; does nothing when it is there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--force",
            action="store_true",
            help="also into a production database, where its passwords, known to everyone, open nothing until they are changed",
        )

    @transaction.atomic
    def handle(self, *args: object, force: bool = False, **options: object) -> None:
        if not settings.EMBEDDED and not force:
            raise CommandError(
                "This is no embedded database: the demo account's passwords are known to everyone (--force loads it)."
            )
        if Account.objects.filter(slug=demo.SLUG).exists():
            return
        if taken := Operator.objects.filter(username__in=demo.LOGINS).values_list("username", flat=True).first():
            raise CommandError(f"The login {taken} exists already: the demo account needs it.")
        account = create_account(
            Account(slug=demo.SLUG, name=demo.NAME, left_messages_email=demo.LEFT_MESSAGES_EMAIL),
            language_codes=demo.LANGUAGES,
            actor=None,
        )
        departments = {}
        for slug, name in demo.DEPARTMENTS.items():
            departments[slug] = Department(account=account, slug=slug, name=name)
            save_part(departments[slug], actor=None)
        languages = {language.code: language for language in account.languages.all()}
        for login, name, role, own_departments, codes in (
            ("anna", "Anna Orlova", Role.OPERATOR, ["support"], ["ru", "en"]),
            ("boris", "Boris Petrov", Role.OPERATOR, ["sales"], ["ru"]),
            ("vera", "Vera Lebedeva", Role.SUPERVISOR, [], ["ru", "en"]),
        ):
            create_operator(
                Operator(username=login, name=name, role=role, account=account),
                password=demo.demo_password(login),
                departments=[departments[slug] for slug in own_departments],
                languages=[languages[code] for code in codes],
            )
        create_operator(Operator(username="help", name="Help", role=Role.SUPPORT), password=demo.demo_password("help"))
        if not settings.EMBEDDED:
            self.stdout.write("Demo account loaded. Its passwords open nothing here: give each login another with changepassword.")
            return
        self.stdout.write(f"Demo account loaded: {', '.join(f'{login} / {demo.demo_password(login)}' for login in demo.LOGINS)}")

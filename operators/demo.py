"""The demo account (interfaces.md): what it is made of, and whether its well-known passwords still open anything."""

from django.contrib.auth.hashers import check_password

from operators.models import Account, Operator

SLUG = "demo"
NAME = "North Tea"
LEFT_MESSAGES_EMAIL = "left@demo.example"
LANGUAGES = ("en", "ru")
DEPARTMENTS = {"support": "Support", "sales": "Sales"}
LOGINS = ("anna", "boris", "vera", "help")


def demo_password(login: str) -> str:
    """The password that `load_demo` gives a demo login."""
    return f"{login}-demo"


def demo_passwords_stand() -> bool:
    """Can somebody sign in with a demo login and its demo password? One query where there is no demo account."""
    if not Account.objects.filter(slug=SLUG).exists():
        return False
    people = Operator.objects.filter(username__in=LOGINS, is_active=True).values_list("username", "password")
    return any(check_password(demo_password(login), encoded) for login, encoded in people)

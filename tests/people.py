"""People and places for tests, made the way the product makes them."""

import hashlib
import itertools
import secrets
import uuid
from datetime import timedelta

from django.http import HttpRequest
from django.test import Client

from dialogs.actions.conversation import Contacts, Submission, Written, visitor_writes
from dialogs.actions.presence import Arrival, Departure, visits_began, visits_ended
from dialogs.models import Dialog, LiveProcess, Visitor
from operators.authentication import confirmation, session_ages
from operators.models import Account, ConditionReason, Department, Language, Operator, OperatorChange, Role, Status
from webim_offline.foundation.database.clock import database_now

PASSWORD = "correct horse"
_serial = itertools.count(1)


def make_account(
    slug: str = "", *, languages: tuple[str, ...] = ("en", "ru"), departments: tuple[str, ...] = ("support", "sales"), **settings
) -> Account:
    """An account with languages (the first is its first) and departments by slug."""
    account = Account.objects.create(slug=slug or f"account-{next(_serial)}", name=settings.pop("name", "North Tea"), **settings)
    for position, code in enumerate(languages):
        Language.objects.create(account=account, code=code, position=position)
    for department in departments:
        Department.objects.create(account=account, slug=department, name=department.title())
    return account


def sign_in(client: Client, operator: Operator) -> None:
    """The client's browser as it is right after the login form: the own password counts as just given."""
    client.force_login(operator)
    request = HttpRequest()
    request.session, request.user = client.session, operator
    session_ages.begin(request)
    confirmation.remember(request)
    request.session.save()


def make_operator(
    account: Account | None,
    username: str = "",
    *,
    departments: tuple[str, ...] = ("support",),
    languages: tuple[str, ...] = ("en", "ru"),
    online: bool = False,
    role: str = Role.OPERATOR,
    **fields,
) -> Operator:
    """An operator; `online` means effectively online now (A1, A2). Account None makes support staff."""
    username = username or f"person{next(_serial)}"
    fields.setdefault("name", username.title())
    operator = Operator(username=username, account=account, role=role if account else Role.SUPPORT, **fields)
    operator.set_unusable_password()
    operator.save()
    if account:
        operator.departments.set(Department.objects.filter(account=account, slug__in=departments))
        operator.languages.set(Language.objects.filter(account=account, code__in=languages))
    if online:
        go_online(operator)
    return operator


def go_online(operator: Operator, seen_ago: float = 0) -> None:
    """Chosen Online, last sign of life `seen_ago` seconds ago."""
    operator.status, operator.last_seen_at = Status.ONLINE, database_now() - timedelta(seconds=seen_ago)
    operator.counted_online = True
    operator.save(update_fields=["status", "last_seen_at", "counted_online"])
    OperatorChange.objects.create(
        account=operator.account,
        operator=operator,
        at=operator.last_seen_at,
        reason=ConditionReason.CHOSEN,
        actor=operator,
        status=operator.status,
        is_online=True,
        is_active=True,
        departments=list(operator.departments.order_by("pk").values_list("pk", flat=True)),
        languages=list(operator.languages.order_by("pk").values_list("pk", flat=True)),
    )


def make_visitor(account: Account, token: str = "", **fields) -> Visitor:
    """A visitor; the digest belongs to `token`, a random one if empty."""
    token = token or secrets.token_urlsafe(24)
    return Visitor.objects.create(account=account, token_digest=hashlib.sha256(token.encode()).hexdigest(), **fields)


def make_visitors(account: Account, count: int) -> list[Visitor]:
    """Many visitors in one statement."""
    return Visitor.objects.bulk_create(
        Visitor(account=account, token_digest=hashlib.sha256(secrets.token_bytes(24)).hexdigest()) for _ in range(count)
    )


def make_process() -> LiveProcess:
    """A live process with a fresh lease."""
    now = database_now()
    return LiveProcess.objects.create(id=uuid.uuid4(), renewed_at=now, expires_at=now + timedelta(seconds=30))


def arrive(visitor: Visitor, process: LiveProcess, key: str = "page-1") -> None:
    """One page of the visitor opens."""
    visits_began([Arrival(visitor.pk, visitor.account_id, key, "https://shop.example/", "Shop")], process_id=process.pk)


def depart(visitor: Visitor, process: LiveProcess, key: str = "page-1", *, ago: float = 0) -> None:
    """That page's visit ended `ago` seconds ago."""
    visits_ended([Departure(visitor.pk, key, ago)], process_id=process.pk)


def write(visitor: Visitor, text: str = "Where is my order?", *, key: str = "", **submission) -> Written:
    """The visitor sends a message (department support unless told otherwise)."""
    submission.setdefault("department", "support")
    contacts = submission.pop("contacts", Contacts())
    return visitor_writes(
        visitor.account_id,
        visitor.pk,
        Submission(text=text, key=key or secrets.token_hex(8), contacts=contacts, **submission),
        newcomer=visitor if visitor._state.adding else None,
    )


def start_dialog(account: Account, *, visitor: Visitor | None = None, name: str = "Marina", **submission) -> Dialog:
    """A fresh visitor's first message; the dialog as stored."""
    visitor = visitor or make_visitor(account, name=name, email="marina@mail.example")
    dialog = write(visitor, **submission).dialog
    dialog.refresh_from_db()
    return dialog

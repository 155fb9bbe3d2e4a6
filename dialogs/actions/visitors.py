"""Who a visitor is: an unguessable token of one account, kept as a digest (X2), and what the visitor told."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field

from django.db import connection

from dialogs.models import Visitor
from operators.models import Account

LONGEST_TOKEN = 100


@dataclass(frozen=True, slots=True)
class Contacts:
    """What a visitor told about themselves; empty means not told. `own` maps the account's own labels to answers."""

    name: str = ""
    email: str = ""
    phone: str = ""
    own: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.name or self.email or self.phone or self.own)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def welcome(account: Account) -> tuple[Visitor, str]:
    """Make a visitor nobody knew before, and the token that only this answer tells."""
    token = secrets.token_urlsafe(32)
    return Visitor.objects.create(account=account, token_digest=_digest(token)), token


def recognise(account: Account, token: str) -> Visitor | None:
    """The visitor of this account whose token it is; None for a forged one and for another account's."""
    return Visitor.objects.filter(account=account, token_digest=_digest(token)).first()


def lock_visitor(visitor_id: int, told: Contacts) -> Visitor:
    """The visitor's row under its lock, with what was told now already in it: one statement, a start has ten in all.

    Raises Visitor.DoesNotExist.
    """
    values = {name: value for name in ("name", "email", "phone") if (value := getattr(told, name))}
    sets = [f"{name} = %s" for name in values]
    if told.own:
        merged = "own_fields || %s::jsonb" if connection.vendor == "postgresql" else "json_patch(own_fields, %s)"
        sets.append(f"own_fields = {merged}")
        values["own_fields"] = json.dumps(told.own)
    if not sets:
        return Visitor.objects.select_for_update(no_key=True).get(pk=visitor_id)
    sql = f"UPDATE {Visitor._meta.db_table} SET {', '.join(sets)} WHERE id = %s RETURNING *"  # noqa: S608
    for visitor in Visitor.objects.raw(sql, [*values.values(), visitor_id]):
        return visitor
    raise Visitor.DoesNotExist

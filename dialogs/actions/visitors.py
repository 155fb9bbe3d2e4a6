"""Who a visitor is: an unguessable token of one account, kept as a digest (X2), and what the visitor told.

A token is signed and holds the id that its visitor's row will have. So nothing is stored for somebody who only looks at
pages: the row is made by the first message, or when a page of theirs has held a stream or poll for ten seconds. Tokens from
before that were random words; they are known by their rows alone.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from dialogs.models import Device, Dialog, Visit, Visitor
from operators.models import Account
from webim_offline.database_clock import DatabaseNow

LONGEST_TOKEN = 100
FIRST_SECOND = 1_577_836_800  # 2020-01-01 UTC: ids count seconds from here, so that newer visitors have larger ids
RANDOM_BITS = 31  # of an id, beside 32 bits of seconds: a signed 64-bit integer until the year 2156
SECRET_BYTES = 18  # of a token, beside the id
FORGOTTEN_AFTER = timedelta(days=30)
FORGOTTEN_AT_ONCE = 500


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


def new_token(account: Account) -> str:
    """A token for a visitor nobody knew before; only the answer that holds it tells it."""
    seconds = int(time.time()) - FIRST_SECOND
    visitor_id = (seconds << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)
    body = base64.urlsafe_b64encode(visitor_id.to_bytes(8) + secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    return f"{body}.{_signature(account, body)}"


def recognise(account: Account, token: str) -> Visitor | None:
    """The visitor of this account whose token it is; None for a forged one and for another account's.

    One without a row yet is a new instance (`_state.adding`) with the id and digest that the row will have.
    """
    digest = _digest(token)
    visitor = Visitor.objects.filter(account=account, token_digest=digest).first()
    if visitor is None and (visitor_id := _signed_id(account, token)):
        return Visitor(pk=visitor_id, account=account, token_digest=digest)
    return visitor


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"webim_offline.visitor:" + secret.encode()).digest()


def _signature(account: Account, body: str) -> str:
    digest = hmac.digest(_key(settings.SECRET_KEY), f"{account.pk}:{body}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:18]).decode()


def _signed_id(account: Account, token: str) -> int | None:
    body, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(account, body).encode()):
        return None
    return int.from_bytes(base64.urlsafe_b64decode(f"{body}==")[:8])


def make_rows(newcomers: Iterable[Visitor]) -> None:
    """Store visitors that `recognise` made up; those that have a row already keep it."""
    # in one order everywhere: an insertion waits for another one of the same id
    Visitor.objects.bulk_create(sorted(newcomers, key=lambda visitor: visitor.pk), ignore_conflicts=True)


def lock_newcomer(visitor: Visitor, told: Contacts, *, is_present: bool) -> Visitor:
    """The row of a visitor who had none when they were recognised, made if need be, locked, with what was told in it.

    A row that is made says `is_present`; one that was made meanwhile keeps what it says. One statement. Raises
    Visitor.DoesNotExist when the id belongs to somebody else's token.
    """
    values: dict[str, object] = {
        "id": visitor.pk,
        "account_id": visitor.account_id,
        "token_digest": visitor.token_digest,
        "name": told.name,
        "email": told.email,
        "phone": told.phone,
        "own_fields": json.dumps(told.own),
        "is_present": is_present,
        "has_token": False,
    }
    table = Visitor._meta.db_table
    names = ", ".join(values)
    marks = ", ".join("%s" for _ in values)
    sets = [f"{name} = excluded.{name}" for name in ("name", "email", "phone") if values[name]]
    if told.own:
        sets.append(f"own_fields = {_merged_own_fields(table, 'excluded.own_fields')}")
    sets = sets or [f"name = {table}.name"]  # something has to be set for the row to be locked and told
    sql = (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {', '.join(sets)}"  # noqa: S608
        f" WHERE {table}.token_digest = excluded.token_digest AND {table}.account_id = excluded.account_id RETURNING *"
    )
    for stored in Visitor.objects.raw(sql, list(values.values())):
        return stored
    raise Visitor.DoesNotExist


def _merged_own_fields(table: str, told: str) -> str:
    if connection.vendor == "postgresql":
        return f"{table}.own_fields || {told}"
    return f"json_patch({table}.own_fields, {told})"


def lock_visitor(visitor_id: int, told: Contacts) -> Visitor:
    """The visitor's row under its lock, with what was told now already in it: one statement, a start has ten in all.

    Raises Visitor.DoesNotExist.
    """
    values = {name: value for name in ("name", "email", "phone") if (value := getattr(told, name))}
    sets = [f"{name} = %s" for name in values]
    if told.own:
        given = "%s::jsonb" if connection.vendor == "postgresql" else "%s"
        sets.append(f"own_fields = {_merged_own_fields(Visitor._meta.db_table, given)}")
        values["own_fields"] = json.dumps(told.own)
    if not sets:
        return Visitor.objects.select_for_update(no_key=True).get(pk=visitor_id)
    sql = f"UPDATE {Visitor._meta.db_table} SET {', '.join(sets)} WHERE id = %s RETURNING *"  # noqa: S608
    for visitor in Visitor.objects.raw(sql, [*values.values(), visitor_id]):
        return visitor
    raise Visitor.DoesNotExist


def forget_visitors() -> int:
    """Delete one batch of visitors who never began a dialog and were not seen for 30 days; returns how many were looked at.

    Those who have a dialog are noted as kept, so that no later call looks at them. Whoever still has the signed token is
    recognised by it as before, and gets the same id.
    """
    long_ago = DatabaseNow() - FORGOTTEN_AFTER
    heard = Device.objects.filter(visitor=OuterRef("pk"), updated_at__gt=long_ago)
    old = Visitor.objects.filter(is_kept=False, created_at__lt=long_ago, is_present=False)
    old = old.filter(Q(left_at=None) | Q(left_at__lt=long_ago)).exclude(Exists(heard))
    with transaction.atomic():
        # whoever writes at this moment holds the row's lock
        rows = old.select_for_update(skip_locked=True)
        ids = list(rows.order_by("created_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
        if not ids:
            return 0
        with_dialog = set(Dialog.objects.filter(visitor__in=ids).values_list("visitor_id", flat=True))
        Visitor.objects.filter(pk__in=with_dialog).update(is_kept=True)
        gone = [visitor_id for visitor_id in ids if visitor_id not in with_dialog]
        Visit.objects.filter(visitor__in=gone).delete()
        Visitor.objects.filter(pk__in=gone).delete()
    return len(ids)

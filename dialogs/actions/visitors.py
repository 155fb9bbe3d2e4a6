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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from dialogs.locks import lock_visits
from dialogs.models import Device, Dialog, Visit, Visitor
from operators.models import Account
from webim_offline.foundation.database.clock import DatabaseNow
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.loading import columns_of, instance_of
from webim_offline.foundation.database.statements import Rows, run_together

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
    (rows,) = run_together(asked_by_token(account, token))
    return recognised(account, token, rows)


def asked_by_token(account: Account, token: str) -> Statement:
    """The statement of `recognise`, to be sent with others; `recognised` says what its rows mean."""
    sql = f"SELECT {columns_of(Visitor)} FROM dialogs_visitor WHERE account_id = %s AND token_digest = %s"  # noqa: S608
    return sql, [account.pk, _digest(token)]


def recognised(account: Account, token: str, rows: Rows) -> Visitor | None:
    """What `recognise` returns, by the rows of its statement: none for somebody who has none."""
    if rows:
        return instance_of(Visitor, rows[0])
    visitor_id = _signed_id(account, token)
    return Visitor(pk=visitor_id, account=account, token_digest=_digest(token)) if visitor_id else None


def newcomer(account: Account) -> tuple[str, Visitor]:
    """A token for a visitor nobody knew before, and the visitor as `recognise` will return them."""
    token = new_token(account)
    return token, Visitor(pk=_signed_id(account, token), account=account, token_digest=_digest(token))


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


def newcomer_lock(visitor: Visitor, told: Contacts, *, is_present: bool, also: Sequence[str] = ()) -> Statement:
    """The statement that locks a visitor who had no row when they were recognised, with what was told in it; made if need be.

    Its row is one of `columns_of(Visitor)`, with the expressions in `also` behind them. A row that is made says `is_present`; one
    that was made meanwhile keeps what it says. There is no row when the id belongs to somebody else's token.
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
        f" WHERE {table}.token_digest = excluded.token_digest AND {table}.account_id = excluded.account_id"
        f" RETURNING {', '.join((columns_of(Visitor), *also))}"
    )
    return sql, list(values.values())


def _merged_own_fields(table: str, told: str) -> str:
    return dialect().merged_json(f"{table}.own_fields", told)


def visitor_lock(visitor_id: int, told: Contacts, *, also: Sequence[str] = ()) -> Statement:
    """The statement that locks a visitor's row, with what was told now already in it.

    Its row is one of `columns_of(Visitor)`, with the expressions in `also` behind them. There is none for somebody unknown.
    """
    values = {name: value for name in ("name", "email", "phone") if (value := getattr(told, name))}
    sets = [f"{name} = %s" for name in values]
    if told.own:
        sets.append(f"own_fields = {_merged_own_fields(Visitor._meta.db_table, dialect().json_value)}")
        values["own_fields"] = json.dumps(told.own)
    table, columns = Visitor._meta.db_table, ", ".join((columns_of(Visitor), *also))
    if not sets:
        return f"SELECT {columns} FROM {table} WHERE id = %s{dialect().for_no_key_update}", [visitor_id]  # noqa: S608
    return f"UPDATE {table} SET {', '.join(sets)} WHERE id = %s RETURNING {columns}", [*values.values(), visitor_id]  # noqa: S608


def locked_visitor(rows: Rows) -> Visitor:
    """The visitor that `newcomer_lock` or `visitor_lock` has locked. Raises Visitor.DoesNotExist."""
    if not rows:
        raise Visitor.DoesNotExist
    return instance_of(Visitor, rows[0])


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
        gone = _without_busy_devices(visitor_id for visitor_id in ids if visitor_id not in with_dialog)
        lock_visits(Visit.objects.filter(visitor__in=gone))
        Visit.objects.filter(visitor__in=gone).delete()
        Visitor.objects.filter(pk__in=gone).delete()
    return len(ids)


def _without_busy_devices(visitor_ids: Iterable[int]) -> list[int]:
    """Those visitors none of whose devices is in use at this moment; their devices are locked now, and go with them.

    Devices are locked before visitors, and these visitors are locked already: so no device is waited for.
    """
    gone = list(visitor_ids)
    theirs = Device.objects.filter(visitor__in=gone)
    locked = list(theirs.select_for_update(skip_locked=True).values_list("pk", flat=True))
    busy = set(theirs.exclude(pk__in=locked).values_list("visitor_id", flat=True))
    return [visitor_id for visitor_id in gone if visitor_id not in busy]

"""Accounts as the visitors' pages name them, kept in the process for a second at most. Whoever changes one forgets them.

Every request of a widget begins with the account's settings, and a site's pages ask many times a second. What is kept here says how
a request is checked and what it is told. What decides about a message (where it goes, and whether the account still takes any) is
read again under the account's lock.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from operators.models import Account, ContactField
from webim_offline.foundation.database.loading import columns_of, instance_of, width_of
from webim_offline.foundation.database.statements import run_together
from webim_offline.foundation.steady_clock import steady_now

KEPT_FOR = 1.0  # seconds; a change of settings has to act within two
MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account in use with its own contact fields, as they were at most a second ago. Threads share it: never change it."""

    account: Account
    contact_fields: tuple[ContactField, ...]


_kept: OrderedDict[str, tuple[float, KnownAccount]] = OrderedDict()  # by slug, with the moment of reading; the newest comes last
_lock = Lock()


def known_account(slug: str) -> KnownAccount | None:
    """The account with this slug; None where there is none, or only an archived one. One statement, or none."""
    now = steady_now()
    kept = _kept.get(slug)
    if kept is not None and now - kept[0] <= KEPT_FOR:
        return kept[1]
    found = _read(slug)
    with _lock:
        _kept.pop(slug, None)
        if found is not None:
            _kept[slug] = (now, found)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return found


def forget_known_accounts() -> None:
    """Read every account anew."""
    with _lock:
        _kept.clear()


def _read(slug: str) -> KnownAccount | None:
    sql = f"""
        SELECT {columns_of(Account, "account")}, {columns_of(ContactField, "field")} FROM operators_account AS account
        LEFT JOIN operators_contactfield AS field ON field.account_id = account.id
        WHERE account.slug = %s AND account.archived_at IS NULL ORDER BY field.position, field.id
    """  # noqa: S608
    (rows,) = run_together((sql, [slug]))
    if not rows:
        return None
    behind = width_of(Account)
    fields = tuple(instance_of(ContactField, row[behind:]) for row in rows if row[behind] is not None)
    return KnownAccount(instance_of(Account, rows[0]), fields)

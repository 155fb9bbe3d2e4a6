"""The locks of accounts. `webim_offline.foundation.database.locks` says in which order locks are taken."""

from collections.abc import Collection

from operators.models import Account
from webim_offline.foundation.database.dialect import Statement
from webim_offline.foundation.database.locks import lock_rows_shared, shared_lock


def lock_account_shared(account_id: int) -> Account:
    """The account's row under the shared lock that the start of a dialog holds (S2). One query.

    Raises Account.DoesNotExist.
    """
    rows = lock_rows_shared(Account, [account_id])
    if not rows:
        raise Account.DoesNotExist
    return rows[account_id]


def shared_account_lock(account_id: int) -> Statement:
    """The statement of `lock_account_shared`, to be sent with others. Its row is one of `columns_of(Account)`."""
    return shared_lock(Account, [account_id])


def lock_accounts_shared(account_ids: Collection[int]) -> dict[int, Account]:
    """Several accounts' rows under the shared lock: settings that are read so change before or after, not meanwhile."""
    return lock_rows_shared(Account, account_ids)


def lock_account(account_id: int) -> Account:
    """The account's row under the exclusive lock that changes of status, membership and settings hold (S2).

    Raises Account.DoesNotExist.
    """
    return Account.objects.select_for_update(no_key=True).get(pk=account_id)

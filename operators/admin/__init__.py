"""Accounts, their parts and their people in the admin. Writes go through `operators.actions`; X1 lives in `scope`."""

from operators.admin.accounts import AccountAdmin, DepartmentAdmin
from operators.admin.people import OperatorAdmin
from operators.admin.scope import AccountScopedAdmin, OwnRelatedFilter, ReadOnlyAdmin, ReadOnlyInline, whom

__all__ = [
    "AccountAdmin",
    "AccountScopedAdmin",
    "DepartmentAdmin",
    "OperatorAdmin",
    "OwnRelatedFilter",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "whom",
]

"""Who a visitor is: an unguessable token of one account, kept as a digest (X2)."""

import hashlib
import secrets

from dialogs.models import Visitor
from operators.models import Account

LONGEST_TOKEN = 100


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def welcome(account: Account) -> tuple[Visitor, str]:
    """Make a visitor nobody knew before, and the token that only this answer tells."""
    token = secrets.token_urlsafe(32)
    return Visitor.objects.create(account=account, token_digest=_digest(token)), token


def recognise(account: Account, token: str) -> Visitor | None:
    """The visitor of this account whose token it is; None for a forged one and for another account's."""
    return Visitor.objects.filter(account=account, token_digest=_digest(token)).first()

"""Who may sign in, and stay signed in: active people of accounts that are not archived."""

import hashlib
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import AnonymousUser
from django.db.models import Max, QuerySet
from django.http import HttpRequest

from operators.logins import login_key
from operators.models import Operator
from webim_offline.foundation.database.prepared import prepared


class OperatorBackend(ModelBackend):
    """Django's own check of login and password; every request of a session asks `user_can_authenticate` anew (A2, A5)."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Operator | None:
        """The person, or None. A name that nobody has takes as long as one that somebody has."""
        if username is None or password is None:
            return None
        stand_in = _somebodys_hash(username)  # asked for every name: that takes its time, too
        operator = Operator.objects.with_login(username)
        if operator is None:
            check_password(password, stand_in)
            return None
        if not operator.check_password(password) or not self.user_can_authenticate(operator):
            return None
        if operator.login_key != login_key(operator.username):  # a release from before has added or renamed them
            operator.save(update_fields=["login_key"])
        return operator

    def get_user(self, user_id: int) -> Operator | None:
        found = _signed_in(user_id)
        return found[0] if found and self.user_can_authenticate(found[0]) else None

    def user_can_authenticate(self, user: Operator | AnonymousUser | None) -> bool:
        if not isinstance(user, Operator):
            return False
        return user.is_active and (user.account is None or user.account.archived_at is None)


@prepared
def _signed_in(user_id: int) -> QuerySet[Operator]:
    return Operator.objects.select_related("account").filter(pk=user_id)  # pages ask for the account as a rule


def _somebodys_hash(name: str) -> str:
    """The hash of somebody, always the same for a name; empty where there is nobody yet.

    Hashes from before take longer until their person signs in: compared with a hash of today's, names that nobody has would
    be told by their time from names of people who have not.
    """
    number = int.from_bytes(hashlib.sha256(login_key(name).encode()).digest()[:8])
    highest = Operator.objects.aggregate(highest=Max("pk"))["highest"] or 0
    found = Operator.objects.filter(pk__gte=number % (highest + 1)).order_by("pk").values_list("password", flat=True)
    return found.first() or ""

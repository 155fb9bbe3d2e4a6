"""Who may sign in, and stay signed in: active people of accounts that are not archived."""

from django.contrib.auth.backends import ModelBackend

from operators.models import Operator


class OperatorBackend(ModelBackend):
    """Django's own check of login and password; every request of a session asks `user_can_authenticate` anew (A2, A5)."""

    def get_user(self, user_id: int) -> Operator | None:
        # pages ask for the account as a rule: one query for both
        operator = Operator.objects.select_related("account").filter(pk=user_id).first()
        return operator if operator and self.user_can_authenticate(operator) else None

    def user_can_authenticate(self, user: Operator) -> bool:
        return user.is_active and (user.account is None or user.account.archived_at is None)

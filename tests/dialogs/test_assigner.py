"""Automatic assignment, and what comes back from it (Q7, Q8, A5)."""

import pytest

from dialogs import tasks
from operators import configuration
from operators.models import Assignment, Department
from tests import people

pytestmark = pytest.mark.django_db


def test_nothing_of_an_archived_department_is_given(account):
    account.assignment = Assignment.AUTOMATIC
    account.save(update_fields=["assignment"])
    support = Department.objects.get(account=account, slug="support")
    anna = people.make_operator(account, "anna", online=True)
    dialog = people.start_dialog(account)
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator == anna

    configuration.archive_part(support, actor=None)
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator is None, "back in its queue, and left there to the supervisors"
    configuration.restore_part(support, actor=None)
    other = people.make_operator(account, "clara", online=True)
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator == other

"""Archiving a department in the admin tells how many dialogs wait in it (A5)."""

from dialogs.actions.assignment_by_hand import take
from dialogs.models import Dialog
from operators.models import Department
from tests import people

URL = "/admin/operators/department/"


def archive(client, *departments):
    data = {"action": "archive", "_selected_action": [department.pk for department in departments]}
    return client.post(URL, data, follow=True).content.decode()


def test_a_supervisor_is_told_how_many_dialogs_wait_in_what_was_archived(client, account, vera, anna):
    people.sign_in(client, vera)
    support, sales = (Department.objects.get(account=account, slug=slug) for slug in ("support", "sales"))
    for _ in range(2):
        people.start_dialog(account)
    people.start_dialog(account, department="sales")
    take(people.start_dialog(account).pk, anna)
    Dialog.objects.filter(pk=people.start_dialog(account).pk).update(in_workspace=False, email_only=True)
    page = archive(client, support)
    assert "1 row archived." in page
    assert "2 dialogs still wait in “Support”: supervisors see them." in page
    assert "Sales" not in page.partition("messagelist")[2].partition("</ul>")[0]
    assert "still wait" not in archive(client, support)  # it was archived before
    assert "1 dialog still waits in “Sales”: supervisors see it." in archive(client, sales)
    assert not Department.objects.filter(account=account, archived_at=None).exists()


def test_an_empty_department_is_archived_without_a_word_of_dialogs(client, account, vera):
    people.sign_in(client, vera)
    page = archive(client, *Department.objects.filter(account=account))
    assert "2 rows archived." in page
    assert "still wait" not in page


def test_another_accounts_department_is_not_reached(client, vera, other_account):
    people.sign_in(client, vera)
    people.start_dialog(other_account)
    page = archive(client, Department.objects.get(account=other_account, slug="support"))
    assert "still wait" not in page
    assert Department.objects.filter(account=other_account, archived_at=None).count() == 2

"""Whom a dialog can be handed to, as the workspace offers it (Q5, Q10, X1, X3)."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dialogs.actions.assignment_by_hand import take
from dialogs.models import Dialog
from dialogs.reading.targets import MOST_PEOPLE, targets_for
from operators.models import Department, Operator, Status
from tests import people
from webim_offline.foundation.database.clock import database_now


@pytest.fixture
def dialog(account, anna):
    """Anna's, of the department support, in English."""
    return take(people.start_dialog(account).pk, anna)


def offered(dialog, reader, search=""):
    found = targets_for(Dialog.objects.select_related("account").get(pk=dialog.pk), reader, database_now(), search=search)
    return [target.person.name for target in found.people], [department.name for department in found.departments], found.more


def test_the_dialogs_department_comes_first_then_who_is_online_then_who_speaks_its_language(account, anna, dialog):
    people.make_operator(account, "elsewhere", departments=("sales",), online=True)
    people.make_operator(account, "away")
    people.make_operator(account, "mute", languages=("ru",), online=True)
    people.make_operator(account, "there", online=True)
    silent = people.make_operator(account, "silent")
    people.go_online(silent, seen_ago=600)
    names, _departments, more = offered(dialog, anna)
    assert (names, more) == (["There", "Mute", "Silent", "Away", "Elsewhere"], 0)


def test_who_has_it_the_reader_the_inactive_and_other_accounts_are_not_offered(account, other_account, anna, boris, vera, dialog):
    people.make_operator(account, "former", is_active=False)
    people.make_operator(other_account, "stranger")
    people.make_operator(None, "help")
    Department.objects.create(account=account, slug="old", name="Old", archived_at=timezone.now())
    assert offered(dialog, anna) == (["Boris", "Vera"], ["Sales", "Support"], 0)
    assert offered(dialog, vera) == (["Boris"], ["Sales", "Support"], 0)


def test_a_dialog_in_a_queue_is_not_offered_the_department_it_waits_in(account, anna, vera):
    assert offered(people.start_dialog(account), vera) == (["Anna"], ["Sales"], 0)


def test_each_shows_what_they_have_and_their_limits(account, anna, boris, dialog):
    Operator.objects.filter(pk=boris.pk).update(max_online_dialogs=4, status=Status.BREAK_LUNCH)
    type(account).objects.filter(pk=account.pk).update(max_offline_dialogs=7, max_online_dialogs=9)
    for is_offline in (False, False, True):
        Dialog.objects.filter(pk=take(people.start_dialog(account).pk, boris).pk).update(is_offline=is_offline)
    mail_only = take(people.start_dialog(account).pk, boris)
    Dialog.objects.filter(pk=mail_only.pk).update(in_workspace=False, email_only=True)
    (target,) = targets_for(Dialog.objects.select_related("account").get(pk=dialog.pk), anna, database_now()).people
    assert (target.online, target.online_limit, target.offline, target.offline_limit) == (2, 4, 1, 7)
    assert (target.is_online, target.is_silent, target.mark) == (False, False, "presence--break")


def test_a_search_finds_people_and_departments_by_name(account, anna, vera, boris, dialog):
    people.make_operator(account, "maria", name="Светлана Константинопольская")
    assert offered(dialog, anna, "bor")[0] == ["Boris"]
    assert offered(dialog, anna, "Константин")[0] == ["Светлана Константинопольская"]
    assert offered(dialog, anna, "SALES")[:2] == ([], ["Sales"])


def test_the_list_is_bounded_says_how_many_it_leaves_out_and_needs_a_constant_number_of_queries(client, account, anna, dialog):
    url = f"/workspace/{dialog.number}/transfer/to/"
    client.force_login(anna)

    def queries():
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=timezone.now())  # or a sign of life is written beside
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url, headers={"X-Requested-With": "fetch"}).status_code == 200
        return len(captured)

    people.make_operator(account)
    few = queries()
    many = Operator.objects.bulk_create(
        Operator(username=f"many{number}", name=f"Many {number}", account=account) for number in range(MOST_PEOPLE + 19)
    )
    for person in many[:20]:
        person.departments.set(account.departments.all())
        person.languages.set(account.languages.all())
        take(people.start_dialog(account).pk, person)
    assert queries() == few
    page = client.get(url).content.decode()
    assert page.count('value="operator-') == MOST_PEOPLE
    assert "And 20 more: find them by name." in page
    assert 'value="operator-' in client.get(url, {"q": "Many 118"}).content.decode()


@pytest.mark.parametrize("search", ["x" * 10_000, "%", "' OR 1=1 --", "\\"])
def test_odd_searches_find_nobody_and_break_nothing(client, anna, boris, dialog, search):
    client.force_login(anna)
    page = client.get(f"/workspace/{dialog.number}/transfer/to/", {"q": search})
    assert page.status_code == 200
    assert "Nobody of that name." in page.content.decode()


def test_the_page_works_without_script_and_only_for_who_may_hand_it_on(client, account, other_account, anna, boris, dialog):
    client.force_login(anna)
    page = client.get(f"/workspace/{dialog.number}/transfer/to/").content.decode()
    form = re.search(r'<form class="targets" action="([^"]+)" method="post"', page).group(1)
    assert form == f"/workspace/{dialog.number}/transfer/"
    assert f'name="to" value="operator-{boris.pk}"' in page
    assert 'name="to" value="queue"' in page
    client.force_login(boris)
    assert 'name="to"' not in client.get(f"/workspace/{dialog.number}/transfer/to/").content.decode()
    client.force_login(people.make_operator(other_account))
    assert client.get(f"/workspace/{dialog.number}/transfer/to/").status_code == 404

"""Querysets whose SQL is put together once (`prepared`)."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Count, F, QuerySet

from dialogs.models import Dialog, Visitor
from operators.models import Account, Department
from tests import people
from webim_offline.foundation.database.prepared import find_together, prepared
from webim_offline.foundation.database.statements import run_together

pytestmark = pytest.mark.django_db


@prepared
def dialogs_of(visitor_id: int, *, newest_first: bool = False) -> QuerySet[Dialog]:
    rows = Dialog.objects.filter(visitor=visitor_id).select_related("visitor", "department", "operator")
    return rows.annotate(twice=F("number") * 2).order_by("-pk" if newest_first else "pk")


@prepared
def visitors_named(name: str, since: datetime) -> QuerySet[Visitor]:
    return Visitor.objects.filter(name=name, created_at__gt=since).order_by("pk")


def test_it_finds_what_the_queryset_finds(account):
    visitor = people.make_visitor(account)
    for _ in range(2):
        people.start_dialog(account, visitor=visitor)
    people.start_dialog(account)
    found = dialogs_of(visitor.pk)
    wanted = list(dialogs_of.__wrapped__(visitor.pk))
    assert found == wanted
    for ours, djangos in zip(found, wanted, strict=True):
        assert ours.__dict__.keys() - {"_state"} == djangos.__dict__.keys() - {"_state"}
        assert all(getattr(ours, name) == getattr(djangos, name) for name in djangos.__dict__ if not name.startswith("_"))
        assert ours.visitor == visitor
        assert not ours.changed_columns()
    assert dialogs_of(visitor.pk, newest_first=True) == wanted[::-1]


def test_one_query_and_nothing_more_for_what_was_joined(account, django_assert_num_queries):
    visitor = people.make_visitor(account)
    people.start_dialog(account, visitor=visitor)
    with django_assert_num_queries(1):
        (found,) = dialogs_of(visitor.pk)
        assert found.visitor.token_digest
        assert found.department.name
        assert found.operator is None


def test_the_values_of_one_call_do_not_stay(account):
    first, second = people.make_visitors(account, 2)
    for visitor in (first, second, first):
        people.start_dialog(account, visitor=visitor)
        assert {dialog.visitor_id for dialog in dialogs_of(visitor.pk)} == {visitor.pk}


def test_texts_and_moments_are_values(account):
    visitor = people.make_visitor(account, name="100 % 'Marina'")
    now = datetime.now(UTC)
    assert visitors_named("100 % 'Marina'", now - timedelta(days=1)) == [visitor]
    assert visitors_named("100 % 'Marina'", now + timedelta(days=1)) == []
    assert visitors_named("Nobody", now - timedelta(days=1)) == []


def test_values_and_lists_of_values(account):
    @prepared
    def slugs(account_id: int) -> QuerySet[Department]:
        return Department.objects.filter(account=account_id).order_by("pk").values_list("slug", "name")

    @prepared
    def counted(account_id: int) -> QuerySet[Department]:
        return Department.objects.filter(account=account_id).order_by().values("account").annotate(how_many=Count("pk"))

    @prepared
    def flat(account_id: int) -> QuerySet[Department]:
        return Department.objects.filter(account=account_id).order_by("pk").values_list("slug", flat=True)

    assert slugs(account.pk) == list(account.departments.order_by("pk").values_list("slug", "name"))
    assert counted(account.pk) == [{"account": account.pk, "how_many": account.departments.count()}]
    assert flat(account.pk) == list(account.departments.order_by("pk").values_list("slug", flat=True))


def test_no_column_holds_so_large_a_number(account):
    assert dialogs_of(10**30) == []
    assert dialogs_of(-(10**30)) == []


def test_several_travel_together(account, django_assert_num_queries):
    visitor = people.make_visitor(account)
    dialog = people.start_dialog(account, visitor=visitor)
    dialogs_of(visitor.pk)
    visitors_named("x", datetime.now(UTC))
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 2):
        found = find_together(dialogs_of.asked(visitor.pk), visitors_named.asked(visitor.name, datetime(2000, 1, 1, tzinfo=UTC)))
    assert found == [[dialog], [visitor]]
    asked = dialogs_of.asked(visitor.pk)
    one, rows = run_together(("SELECT 1", []), asked.statement())
    assert one == [(1,)]
    assert asked.found(rows) == [dialog]


def test_a_value_must_reach_the_sql_as_it_is():
    @prepared
    def like(name: str) -> QuerySet[Account]:
        return Account.objects.filter(name__startswith=name)

    @prepared
    def limited(count: int) -> QuerySet[Account]:
        return Account.objects.all()[:count]

    @prepared
    def unused(name: str) -> QuerySet[Account]:
        return Account.objects.all()

    for query, value in ((like, "North"), (limited, 3), (unused, "North")):
        with pytest.raises(ValueError, match="does not reach the SQL"):
            query(value)
    assert unused(None) == list(Account.objects.all())


def test_a_set_of_integers_is_one_value(account):
    @prepared
    def among(departments: frozenset[int]) -> QuerySet[Department]:
        return Department.objects.filter(pk__in=departments).order_by("pk")

    departments = list(account.departments.order_by("pk"))
    for chosen in (departments, departments[:1], []):
        assert among(frozenset(one.pk for one in chosen)) == chosen

    @prepared
    def with_another(departments: frozenset[int]) -> QuerySet[Department]:
        return Department.objects.filter(pk__in={1, *departments})

    with pytest.raises(ValueError, match="only value"):
        with_another(frozenset({2}))


def test_a_switch_is_no_value():
    with pytest.raises(TypeError, match="keyword argument"):
        dialogs_of(True)


@pytest.mark.django_db(transaction=True)
def test_every_thread_has_its_own_connection():
    account = people.make_account()
    visitors = people.make_visitors(account, 4)
    for visitor in visitors:
        people.start_dialog(account, visitor=visitor)
    wrong = []

    def look(visitor):
        try:
            for _ in range(50):
                found = dialogs_of(visitor.pk)
                if [dialog.visitor_id for dialog in found] != [visitor.pk]:
                    wrong.append(found)
        except Exception as error:  # noqa: BLE001 - it is told below
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=look, args=[visitor]) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []

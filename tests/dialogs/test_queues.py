"""Sections: the pure rules, and the querysets that mirror them (Q1 to Q4)."""

import itertools
import random

import pytest

from dialogs.models import Dialog, State
from dialogs.reading import queues
from dialogs.reading.rights import facts_of, person_of
from dialogs.rules.permissions import DialogFacts, may_read
from dialogs.rules.sections import Section, section_of
from operators.models import Department, Language, Operator
from tests import people
from tests.sections import shown_section


@pytest.mark.parametrize(
    ("state", "holder", "is_offline", "section"),
    [
        ("queue", None, False, Section.GENERAL),
        ("queue", None, True, Section.OFFLINE),
        ("queue", 1, False, Section.WAITING),
        ("queue", 1, True, Section.WAITING),
        ("chatting", 1, False, Section.MINE),
        ("chatting", 1, True, Section.MINE),
        ("chatting", 2, False, Section.OTHERS),
        ("closed_by_visitor", 1, False, None),
        ("closed", None, True, None),
    ],
)
def test_where_a_dialog_stands(state, holder, is_offline, section):
    def standing(*, in_workspace):
        row = Dialog(account_id=1, language_id=1, state=state, operator_id=holder, is_offline=is_offline, in_workspace=in_workspace)
        return section_of(facts_of(row), viewer_id=1)

    assert standing(in_workspace=True) == section
    assert standing(in_workspace=False) is None


def sections_by_querysets(viewer):
    """The section of each dialog in the viewer's panel, as the querysets say."""
    found = [
        *((dialog, Section.GENERAL) for dialog in queues.queued(viewer, is_offline=False)),
        *((dialog, Section.OFFLINE) for dialog in queues.queued(viewer, is_offline=True)),
        *((dialog, Section.WAITING if dialog.state == "queue" else Section.MINE) for dialog in queues.held(viewer)),
    ]
    if viewer.is_supervisor:
        found += [(dialog, Section.OTHERS) for dialog in queues.others(viewer)]
    assert len({dialog for dialog, _ in found}) == len(found), "a dialog stands in two sections"
    return dict(found)


def test_rules_and_querysets_agree_row_by_row(account, anna, boris, vera):
    combinations = itertools.product(State.values, [None, anna, boris], [False, True], [False, True])
    for state, holder, is_offline, in_workspace in combinations:
        if state == State.CHATTING and holder is None:
            continue  # the database refuses it
        dialog = people.start_dialog(account)
        Dialog.objects.filter(pk=dialog.pk).update(state=state, operator=holder, is_offline=is_offline, in_workspace=in_workspace)
    for viewer in (anna, vera):
        found = sections_by_querysets(viewer)
        for dialog in Dialog.objects.all():
            assert found.get(dialog) == shown_section(facts_of(dialog), person_of(viewer))
            if viewer == vera or dialog.operator_id in {None, viewer.pk}:
                assert found.get(dialog) == section_of(facts_of(dialog), viewer.pk)


@pytest.mark.parametrize("seed", range(5))
def test_rules_and_querysets_agree_about_people_and_dialogs_of_every_kind(account, other_account, seed):
    """Q1 to Q3, Q13: sections and the right to read, for random departments, languages, holders and states."""
    chance = random.Random(seed)
    staff = [
        people.make_operator(
            company,
            departments=tuple(chance.sample(("support", "sales"), chance.randint(0, 2))),
            languages=tuple(chance.sample(("en", "ru"), chance.randint(0, 2))),
            role=chance.choice(("operator", "operator", "supervisor")),
        )
        for company in (account, account, account, account, other_account, other_account)
    ]
    Department.objects.filter(account=account, slug="sales").update(archived_at=chance.choice((None, account.created_at)))
    for _ in range(40):
        company = chance.choice((account, account, other_account))
        state = chance.choice(State.values)
        holders = [person for person in staff if person.account_id == company.pk] + [None] * (state != State.CHATTING)
        Dialog.objects.filter(pk=people.start_dialog(company).pk).update(
            state=state,
            operator=chance.choice(holders),
            department=chance.choice((None, *Department.objects.filter(account=company))),
            language=chance.choice(Language.objects.filter(account=company)),
            is_offline=chance.random() < 0.5,
            in_workspace=chance.random() < 0.8,
        )
    for viewer in Operator.objects.all():
        person, sections, visible = person_of(viewer), sections_by_querysets(viewer), set(queues.visible_to(viewer))
        for dialog in Dialog.objects.all():
            facts = facts_of(dialog)
            assert sections.get(dialog) == shown_section(facts, person)
            assert (dialog in visible) == bool(may_read(person, facts))
            counted = queues.WaitingCounts(viewer, person).of(is_offline=dialog.is_offline)
            assert counted == queues.queued(viewer, is_offline=dialog.is_offline).count()


def test_the_fact_of_a_time_that_is_over_closes_a_dialog(account, anna):
    dialog = people.start_dialog(account)
    dialog.closes_at = dialog.created_at
    assert facts_of(dialog) == DialogFacts(account.pk, (dialog.department_id, dialog.language_id), is_offline=True)
    assert not facts_of(dialog, now=dialog.created_at).is_open


def test_an_operator_sees_own_departments_and_languages_and_dialogs_without_department(account, anna, vera):
    mine = people.start_dialog(account, department="support", language="ru")
    nobodys = people.start_dialog(account, department="", language="en")
    sales = people.start_dialog(account, department="sales")
    russian_only = people.make_operator(account, languages=("ru",))
    everything = {mine, nobodys, sales}
    assert set(queues.queued(anna, is_offline=True)) == {mine, nobodys}
    assert set(queues.queued(russian_only, is_offline=True)) == {mine}
    assert set(queues.queued(vera, is_offline=True)) == everything


def test_nothing_of_another_account_is_queued_held_or_visible(account, other_account, anna, vera):
    theirs = people.make_operator(other_account)
    dialog = people.start_dialog(other_account)
    Dialog.objects.filter(pk=people.start_dialog(other_account).pk).update(operator=theirs, state="chatting")
    for viewer in (anna, vera):
        assert dialog not in queues.queued(viewer, is_offline=True)
        assert not queues.others(viewer).exists()
        assert not queues.visible_to(viewer).exists()

"""Sections: the pure rule and the querysets that mirror it (Q1 to Q4)."""

import itertools

import pytest

from dialogs import queues
from dialogs.models import Dialog, State
from dialogs.queues import Section, section_of
from tests import people


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
    assert section_of(state=state, holder_id=holder, is_offline=is_offline, in_workspace=True, viewer_id=1) == section
    assert section_of(state=state, holder_id=holder, is_offline=is_offline, in_workspace=False, viewer_id=1) is None


def test_rule_and_querysets_agree_row_by_row(account, anna, boris, vera):
    combinations = itertools.product(State.values, [None, anna, boris], [False, True], [False, True])
    for state, holder, is_offline, in_workspace in combinations:
        if state == State.CHATTING and holder is None:
            continue  # the database refuses it
        dialog = people.start_dialog(account)
        Dialog.objects.filter(pk=dialog.pk).update(state=state, operator=holder, is_offline=is_offline, in_workspace=in_workspace)
    for viewer in (anna, vera):
        found = {
            **dict.fromkeys(queues.queued(viewer, is_offline=False), Section.GENERAL),
            **dict.fromkeys(queues.queued(viewer, is_offline=True), Section.OFFLINE),
            **{d: Section.WAITING if d.state == "queue" else Section.MINE for d in queues.held(viewer)},
            **dict.fromkeys(queues.others(viewer), Section.OTHERS),
        }
        for dialog in Dialog.objects.all():
            expected = section_of(
                state=dialog.state,
                holder_id=dialog.operator_id,
                is_offline=dialog.is_offline,
                in_workspace=dialog.in_workspace,
                viewer_id=viewer.pk,
            )
            assert found.get(dialog) == expected


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

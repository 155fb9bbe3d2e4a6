"""docs/states.md names every state, event and reason of the program, and none that does not exist; its presence is walked."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dialogs.models import DeliveryStatus, EventKind, State
from dialogs.rules import presence
from dialogs.rules.presence import Facts, Step
from dialogs.rules.sections import Section
from operators.models import ConditionReason, Status

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "states.md").read_text()
DIAGRAM = re.compile(r"<!-- nodes: (\w+); labels: (\w+) -->\n```mermaid\nstateDiagram-v2\n(.*?)```", re.DOTALL)
ARROW = re.compile(r"    (\[\*\]|\w+) --> (\w+) : (.+) \(((?:[A-Z]\d+)(?:, [A-Z]\d+)*)\)")
NAMES = {
    kind.__name__: {str(member.value) for member in kind}
    for kind in (State, EventKind, Section, DeliveryStatus, ConditionReason, Status)
}
START = "[*]"


class Diagram:
    """One diagram: whose names its nodes and labels are, and its arrows as (from, to, label)."""

    def __init__(self, nodes: str, labels: str, body: str) -> None:
        self.nodes_of, self.labels_of = nodes, labels
        self.lines = [line for line in body.splitlines() if line != "    direction LR"]
        self.arrows = [(found[1], found[2], found[3]) for line in self.lines if (found := ARROW.fullmatch(line))]

    @property
    def nodes(self) -> set[str]:
        return {node for start, end, _ in self.arrows for node in (start, end)} - {START}

    @property
    def labels(self) -> set[str]:
        return {name for _, _, label in self.arrows for name in re.split(", | and ", label)}


DIAGRAMS = {found[0]: Diagram(*found) for found in DIAGRAM.findall(TEXT)}


def test_every_diagram_is_read():
    assert TEXT.count("```mermaid") == len(DIAGRAMS) == 7


@pytest.mark.parametrize("diagram", DIAGRAMS.values(), ids=DIAGRAMS)
def test_every_arrow_has_a_label_and_its_rules(diagram):
    assert [line for line in diagram.lines if not ARROW.fullmatch(line)] == []
    assert len(set(diagram.arrows)) == len(diagram.arrows)


@pytest.mark.parametrize("diagram", DIAGRAMS.values(), ids=DIAGRAMS)
def test_no_diagram_names_what_does_not_exist(diagram):
    if diagram.labels_of != "words":
        assert diagram.labels - NAMES[diagram.labels_of] == set()
    if diagram.nodes_of in NAMES:
        assert diagram.nodes - NAMES[diagram.nodes_of] == set()


def test_every_name_of_the_program_is_drawn():
    drawn = {
        kind: set().union(*(d.labels for d in DIAGRAMS.values() if d.labels_of == kind))
        for kind in ("EventKind", "ConditionReason")
    }
    assert NAMES["EventKind"] - drawn["EventKind"] == set()
    assert NAMES["ConditionReason"] - drawn["ConditionReason"] == set()
    assert DIAGRAMS["State"].nodes == NAMES["State"]
    assert DIAGRAMS["DeliveryStatus"].nodes == NAMES["DeliveryStatus"]


def test_sections_and_statuses_are_all_mentioned():
    sections = TEXT.split("## Sections")[1].split("\n## ")[0]
    assert NAMES["Section"] - DIAGRAMS["Section"].nodes - set(re.findall(r"`(\w+)`", sections)) == set()
    table = TEXT.split("<!-- names: Status -->")[1]
    assert {name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row)} == NAMES["Status"]


def test_every_step_is_said_and_is_an_event():
    sentence = TEXT.split("(`Step`) are ")[1].split(";")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == {step.value for step in Step}
    assert {step.value for step in Step} <= NAMES["EventKind"]


# ----- presence: the diagram against the rules -----

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)
MINUTE = timedelta(minutes=1)
SETTINGS = [
    presence.timeouts_from_seconds(notice, offline) for notice, offline in ((120, 1200), (0, 1200), (120, 0), (0, 0), (120, 120))
]


def node_of(facts: Facts) -> str:
    if facts.always_online:
        return "in_app"
    if facts.away_since is None:
        return "never_here" if facts.is_offline else "on_site"
    if facts.is_offline:
        return "offline"
    return "left" if facts.left_notice_at is None else "noticed"


def moves(facts: Facts):
    """(facts before, facts after, what happened) of everything that presence, tokens and time can do next."""
    if facts.away_since is None and not facts.always_online and not facts.is_offline:
        yield facts, presence.left(facts, NOON), {EventKind.VISITOR_LEFT}
    for timeouts in SETTINGS:
        first = presence.wake_at(facts, timeouts)
        if first is not None:
            after, steps = presence.advance(facts, timeouts, first)
            before = facts
            for at, step in steps:  # each step alone: two may fall on one moment
                name = "left_notice_at" if step == Step.LEFT_NOTICE else "went_offline_at"
                taken = replace(before, **{name: at}, is_offline=before.is_offline or step == Step.WENT_OFFLINE)
                yield before, taken, {EventKind(step.value)}
                before = taken
            assert before == after
    if facts.away_since is not None or facts.is_offline:
        back, steps = presence.returned(facts, LATER)
        yield facts, back, {EventKind.VISITOR_CAME_BACK, *(EventKind(step.value) for _, step in steps)}
    if facts.always_online:
        for present in (True, False):
            yield facts, presence.token_removed(facts, LATER, present=present), {EventKind.TOKEN_REMOVED}
    else:
        yield facts, presence.token_arrived(facts), {EventKind.TOKEN_SET}


def test_presence_is_drawn_as_the_rules_have_it():
    """Every arrow can be walked, and nothing can be walked that has no arrow."""
    begun = [
        presence.start(visitor_present=present, always_online=from_app) for present in (True, False) for from_app in (True, False)
    ]
    walked = {(START, node_of(facts), frozenset({EventKind.STARTED})) for facts in begun}
    known, waiting = set(begun), list(begun)
    while waiting:
        for before, after, events in moves(waiting.pop()):
            walked.add((node_of(before), node_of(after), frozenset(events)))
            if after not in known:
                known.add(after)
                waiting.append(after)
    drawn = {(start, end, frozenset(map(EventKind, label.split(" and ")))) for start, end, label in DIAGRAMS["presence"].arrows}
    assert walked - drawn == set(), "not drawn"
    assert drawn - walked == set(), "nothing leads there"

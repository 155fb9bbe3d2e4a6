"""Histories that were lived through without a difference, chosen for their variety: `histories.jsonl`, one a line.

`python -m tests.model.fuzz --record FILE` makes such a file. test_recorded.py lives them through on PostgreSQL.
"""

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.model.machine import Lived, Presence
from tests.model.queue_machine import Queues
from tests.model.story import STEPS, Story

HISTORIES = Path(__file__).with_name("histories.jsonl")
COUNT = 200
SHORTEST = 8  # steps


class Recorded(Lived):
    """Random histories that are kept if they end well."""

    kept: dict[str, set[Any]] = {}  # line: what is in it

    def teardown(self) -> None:
        if hasattr(self, "story") and len(self.story.told) >= SHORTEST and not self.story.went_wrong:
            self.kept[self.story.line] = contents(self.story)
        super().teardown()


class RecordedPresence(Recorded, Presence):
    """Those of presence."""


class RecordedQueues(Recorded, Queues):
    """Those of queues."""


def contents(story: Story) -> set[Any]:
    """Everything in a history that makes it unlike others: its steps, what follows what, and what dialogs were told."""
    kinds = [kind for kind, _ in story.told]
    found: set[Any] = {*kinds, *itertools.pairwise(kinds), *zip(kinds, kinds[2:], strict=False)}
    found |= {(kind, name, str(value)) for kind, parameters in story.told for name, value in parameters.items()}
    for row in story.product.dialogs():
        found.add(("messages", *(message.code or message.kind for message in row.messages.all())))
        found.add((row.start_state, row.is_offline, row.state, row.from_app, row.always_online, row.email_only))
        found.add((row.state, row.operator_id is None, row.assigned_at is None, len(row.passed_over)))
    return found


def chosen(kept: dict[str, set[Any]], count: int) -> list[str]:
    """`count` lines that together hold as much as possible, what is rare in many of them."""
    seen: Counter[Any] = Counter()
    left, lines = dict(kept), []
    while left and len(lines) < count:
        line = max(left, key=lambda one: sum(1 / (1 + seen[thing]) ** 2 for thing in left[one]) / len(json.loads(one)[1]) ** 0.5)
        seen.update(left.pop(line))
        lines.append(line)
    return lines


def kinds_of(lines: list[str]) -> set[str]:
    """The kinds of steps that occur."""
    return {kind for line in lines for kind, _ in json.loads(line)[1]}


def missing_kinds(lines: list[str]) -> set[str]:
    return set(STEPS) - kinds_of(lines)

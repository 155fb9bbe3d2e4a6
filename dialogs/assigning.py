"""The rule of automatic assignment (Q5, Q7, Q8) as a pure function: waiting dialogs and free people in, pairs out."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush

Place = tuple[int | None, int, bool]  # department (None: any), language, is offline: one queue
UNBOUNDED = 1 << 30


@dataclass(slots=True)
class Person:
    """Somebody who may be given dialogs now: effectively online, heard of lately.

    `room`: how many more dialogs of a kind (is offline?) the limits allow; `open`: how many dialogs of both kinds they have.
    """

    id: int
    departments: frozenset[int] = frozenset()
    languages: frozenset[int] = frozenset()
    open: int = 0
    room: dict[bool, int] = field(default_factory=lambda: {False: UNBOUNDED, True: UNBOUNDED})
    acted_at: datetime | None = None
    name: str = ""

    def answers(self, place: Place) -> bool:
        """Do department and language match?"""
        department, language, _ = place
        return language in self.languages and (department is None or department in self.departments)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A dialog in a queue. `passed_over`: who let it wait, and since when it is back from them (Q8)."""

    id: int
    place: Place
    created_at: datetime
    passed_over: Mapping[int, datetime] = field(default_factory=dict)


def plan(
    waiting: Iterable[Waiting],
    people: Sequence[Person],
    *,
    cut: frozenset[Place] = frozenset(),
    most: int = UNBOUNDED,
    choose: Callable[[Sequence[Person]], Person] = random.choice,
) -> list[tuple[int, int]]:
    """(dialog id, operator id) for everything that can be given now, in the order of giving; `people` are changed.

    Q7: the queue whose first dialog is oldest comes next; a queue whose first dialog finds nobody is passed over. Queues in
    `cut` hold more than is told here: once one of them is through, what would come next is not known, and the plan ends.
    `choose` breaks ties.
    """
    queues: dict[Place, list[Waiting]] = {}
    for dialog in sorted(waiting, key=lambda dialog: (dialog.created_at, dialog.id), reverse=True):
        queues.setdefault(dialog.place, []).append(dialog)  # the oldest last
    candidates = {place: [person for person in people if person.answers(place)] for place in queues}
    heads = [(queue[-1].created_at, queue[-1].id, place) for place, queue in queues.items()]
    heads.sort(key=lambda head: head[:2])
    order = {place: number for number, (_, _, place) in enumerate(heads)}  # places themselves do not compare
    heap = [(at, dialog_id, order[place], place) for at, dialog_id, place in heads]
    heapify(heap)
    pairs: list[tuple[int, int]] = []
    while heap and len(pairs) < most:
        *_, place = heappop(heap)
        queue, kind = queues[place], place[2]
        able = candidates[place] = [person for person in candidates[place] if person.room[kind] > 0]
        person = _chosen(queue[-1], able, choose)
        if person is None:
            continue
        pairs.append((queue.pop().id, person.id))
        person.open += 1
        person.room[kind] -= 1
        if queue:
            heappush(heap, (queue[-1].created_at, queue[-1].id, order[place], place))
        elif place in cut:
            break
    return pairs


def _chosen(dialog: Waiting, able: Sequence[Person], choose: Callable[[Sequence[Person]], Person]) -> Person | None:
    if dialog.passed_over:
        others = [person for person in able if person.id not in dialog.passed_over]
        able = others or [person for person in able if person.acted_at and person.acted_at > dialog.passed_over[person.id]]
    if not able:
        return None
    fewest = min(person.open for person in able)
    return choose([person for person in able if person.open == fewest])

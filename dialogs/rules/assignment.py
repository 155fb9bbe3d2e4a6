"""The rule of automatic assignment (Q5, Q7, Q8) as a pure function: waiting dialogs and free operators in, pairs out."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush

QueueKey = tuple[int | None, int, bool]  # one queue of the contract: department id (None: without one), language id, is_offline
UNBOUNDED = 1 << 30  # a capacity without a limit


@dataclass(slots=True)
class FreeOperator:
    """An operator who may be given dialogs now: effectively online, and heard of lately.

    `capacity` maps a kind of dialogs (is it offline?) to how many more of them the limits allow; it is negative for an operator
    who took more than the limit by hand (Q5). `open` is how many dialogs of both kinds the operator has.
    """

    id: int
    departments: frozenset[int] = frozenset()
    languages: frozenset[int] = frozenset()
    open: int = 0
    capacity: dict[bool, int] = field(default_factory=lambda: {False: UNBOUNDED, True: UNBOUNDED})
    acted_at: datetime | None = None
    name: str = ""

    def answers(self, queue: QueueKey) -> bool:
        """Whether the operator's departments and languages match those of a queue."""
        department, language, _ = queue
        return language in self.languages and (department is None or department in self.departments)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A dialog that waits in a queue.

    `passed_over` maps the ids of operators who let it wait to the moments since when it is back from them (Q8).
    """

    id: int
    queue: QueueKey
    created_at: datetime
    passed_over: Mapping[int, datetime] = field(default_factory=dict)


def plan(
    waiting: Iterable[Waiting],
    operators: Sequence[FreeOperator],
    *,
    cut: frozenset[QueueKey] = frozenset(),
    most: int = UNBOUNDED,
    choose: Callable[[Sequence[FreeOperator]], FreeOperator] = random.choice,
) -> list[tuple[int, int]]:
    """(dialog id, operator id) for everything that can be given now, in the order of giving. Changes `operators`.

    Q7: the queue whose oldest dialog is the oldest of all comes next; a queue whose oldest dialog finds nobody is passed over.
    `cut` names queues of which `waiting` holds only the beginning: once all that is known of such a queue is given, nobody can say
    which queue would come next, and the plan ends. At most `most` dialogs are given. `choose` breaks ties between operators.
    """
    queues: dict[QueueKey, list[Waiting]] = {}
    for dialog in sorted(waiting, key=lambda dialog: (dialog.created_at, dialog.id), reverse=True):
        queues.setdefault(dialog.queue, []).append(dialog)  # the oldest last
    candidates = {key: [operator for operator in operators if operator.answers(key)] for key in queues}
    oldest = sorted(((queue[-1].created_at, queue[-1].id, key) for key, queue in queues.items()), key=lambda entry: entry[:2])
    # a department of None does not compare with a number: the heap compares the places of the keys instead
    order = {key: number for number, (_, _, key) in enumerate(oldest)}
    heap = [(at, dialog_id, order[key], key) for at, dialog_id, key in oldest]
    heapify(heap)
    pairs: list[tuple[int, int]] = []
    while heap and len(pairs) < most:
        *_, key = heappop(heap)
        queue, is_offline = queues[key], key[2]
        able = candidates[key] = [operator for operator in candidates[key] if operator.capacity[is_offline] > 0]
        operator = _chosen(queue[-1], able, choose)
        if operator is None:
            continue
        pairs.append((queue.pop().id, operator.id))
        operator.open += 1
        operator.capacity[is_offline] -= 1
        if queue:
            heappush(heap, (queue[-1].created_at, queue[-1].id, order[key], key))
        elif key in cut:
            break
    return pairs


def _chosen(
    dialog: Waiting, able: Sequence[FreeOperator], choose: Callable[[Sequence[FreeOperator]], FreeOperator]
) -> FreeOperator | None:
    """The operator with the fewest dialogs; one who let this dialog wait only if there is nobody else, and after an own action."""
    if dialog.passed_over:
        others = [operator for operator in able if operator.id not in dialog.passed_over]
        able = others or [
            operator for operator in able if operator.acted_at and operator.acted_at > dialog.passed_over[operator.id]
        ]
    if not able:
        return None
    fewest = min(operator.open for operator in able)
    return choose([operator for operator in able if operator.open == fewest])

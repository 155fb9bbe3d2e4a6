"""What happens to queues: transfers, limits, departments (Q5, Q8, Q10, A5)."""

from tests.model.facts import Move
from tests.model.queue_rules import codes, of_transfer, warnings_of_transfer
from tests.model.story import Story, step


@step
def transfer(
    story: Story,
    operator: str,
    number: int,
    what: str,
    to: str | None = None,
    department: str | None = None,
    confirmed: bool = True,
) -> None:
    """Q10: an operator hands a dialog to somebody, to a department, or back to its queue."""
    dialog, person = story.looked_at(number), story.history.operators[operator]
    warned = warnings_of_transfer(story.history, dialog, story.history.operators[to], story.now) if to else []
    move = Move(story.now, what, to, department, by=operator, warned=codes(warned))
    outcome = of_transfer(story.history, dialog, person, move, confirmed=confirmed)
    if story.tries(outcome, lambda: story.product.transfers(operator, number, what, to, department, confirmed=confirmed)):
        person.acts.append(story.now)
        dialog.moves.append(move)


@step
def limit_operator(story: Story, operator: str, name: str, value: int | None) -> None:
    """Q5: support staff give an operator a limit of their own, or (None) the account's."""
    story.history.operators[operator].limits[name].set(story.now, value)
    story.product.limits_operator(operator, name, value)


@step
def change_department(story: Story, department: str, pickup_timeout: int | None) -> None:
    """Q8: a department gets a time to pick up of its own, or (None) the account's."""
    story.history.pickup_timeouts[department].set(story.now, pickup_timeout)
    story.product.changes_department(department, pickup_timeout)


@step
def archive(story: Story, department: str, archived: bool) -> None:
    """A5: a department is archived, or brought back."""
    story.history.departments[department].set(story.now, archived)
    story.product.archives(department, archived=archived)

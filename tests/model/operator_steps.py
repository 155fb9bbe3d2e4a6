"""What operators, supervisors and support staff do."""

from typing import Any

from tests.model.facts import CLOSED_BY_OPERATOR, PICKED_UP, Move, Timeline, Written
from tests.model.holding_rules import holding
from tests.model.queue_rules import codes, of_answering, of_closing, of_taking, warnings_of_taking
from tests.model.story import Story, Workspace, step


@step
def open_workspace(story: Story, operator: str, process: str) -> None:
    """The operator opens the workspace, or loads its page again: a sign of life, and a stream."""
    story.history.operators[operator].signs.append(story.now)
    story.workspaces[operator] = Workspace(story.product.workspace_opens(operator), process, story.now)


@step
def lose_workspace(story: Story, operator: str) -> None:
    """A crash, a closed laptop, a lost network: nothing is heard of the workspace any more."""
    del story.workspaces[operator]


@step
def choose(story: Story, operator: str, status: str) -> None:
    """A1: the operator chooses a status, which is a request of the workspace (A2)."""
    story.history.operators[operator].status.set(story.now, status)
    story.history.operators[operator].signs.append(story.now)
    story.history.operators[operator].acts.append(story.now)
    story.product.chooses(operator, status, by=operator)


@step
def appoint(story: Story, operator: str, status: str) -> None:
    """A supervisor chooses for the operator: no sign of life of that operator."""
    story.history.operators[operator].status.set(story.now, status)
    story.product.chooses(operator, status, by="vera")


@step
def sign_out(story: Story, operator: str) -> None:
    """A2: ends it at once. A ping that the workspace answered before, heard only now, does not take it back."""
    workspace = story.workspaces.pop(operator, None)
    story.history.operators[operator].sign_outs.append(story.now)
    story.product.signs_out(operator)
    if workspace is not None:
        story.product.workspace_answers_ping(workspace.claims, workspace.process)


@step
def become(story: Story, operator: str, departments: list[str], languages: list[str], active: bool) -> None:
    """A supervisor changes departments, languages, and whether the operator is active."""
    person = story.history.operators[operator]
    person.departments.set(story.now, frozenset(departments))
    person.languages.set(story.now, frozenset(languages))
    person.is_active.set(story.now, active)
    if not active:
        person.sign_outs.append(story.now)
        story.workspaces.pop(operator, None)
    story.product.becomes(operator, departments, languages, active)


@step
def take(story: Story, operator: str, number: int, instead_of: str | None = None, confirmed: bool = True) -> None:
    """An operator presses Take; a supervisor perhaps takes the dialog over from somebody."""
    dialog, person = story.looked_at(number), story.history.operators[operator]
    outcome = of_taking(story.history, dialog, person, story.now, instead_of=instead_of, confirmed=confirmed)
    has_it = holding(story.history, dialog, story.now)
    warned = codes(warnings_of_taking(story.history, dialog, person, story.now))
    if story.tries(outcome, lambda: story.product.operator_takes(operator, number, instead_of=instead_of, confirmed=confirmed)):
        person.acts.append(story.now)
        if not (has_it.operator == operator and has_it.is_picked_up):
            dialog.moves.append(Move(story.now, PICKED_UP, operator, by=operator, warned=warned))


@step
def answer(story: Story, operator: str, number: int, confirmed: bool = True) -> None:
    """An operator sends an answer; to a dialog nobody has, or that waits for them, that is picking it up."""
    dialog, person = story.looked_at(number), story.history.operators[operator]
    outcome = of_answering(story.history, dialog, person, story.now, confirmed=confirmed)
    has_it = holding(story.history, dialog, story.now)
    warned = codes(warnings_of_taking(story.history, dialog, person, story.now))
    if story.tries(outcome, lambda: story.product.operator_answers(operator, number, confirmed=confirmed)):
        person.acts.append(story.now)
        dialog.written.append(Written(story.now, operator))
        if not has_it.is_picked_up:
            dialog.moves.append(Move(story.now, PICKED_UP, operator, by=operator, warned=warned))


@step
def operator_closes(story: Story, operator: str, number: int) -> None:
    """An operator closes a dialog."""
    dialog, person = story.looked_at(number), story.history.operators[operator]
    outcome = of_closing(story.history, dialog, person, story.now)
    if story.tries(outcome, lambda: story.product.operator_closes(operator, number)):
        person.acts.append(story.now)
        dialog.moves.append(Move(story.now, CLOSED_BY_OPERATOR, by=operator))


@step
def bring_in(story: Story, operator: str, number: int) -> None:
    """M8: an email-only dialog is brought into the workspace."""
    story.history.dialogs[number - 1].brought_in.append(story.now)
    story.product.brings_in(operator, number)


@step
def change_settings(story: Story, changes: dict[str, Any]) -> None:
    """Support staff change settings of the account."""
    for name, value in changes.items():
        timeline: Timeline[Any] = story.history.settings[name]
        timeline.set(story.now, value)
    story.product.settings_change(changes)

"""What machines, processes, databases and clocks do (P9, Z3)."""

from datetime import timedelta

from tests.model.facts import NEVER
from tests.model.story import Story, step


@step
def suspend(story: Story, milliseconds: int, first: str) -> None:
    """Everything stands still, as when the machine sleeps; the clock worker or the live processes wake `first`."""
    story.clock.move(milliseconds)
    if first == "clock worker":
        story.run_clock_worker()


@step
def stop_clock_worker(story: Story) -> None:
    """The clock worker, or the beat that rings it, is away."""
    story.has_clock_worker = False


@step
def start_clock_worker(story: Story) -> None:
    """It is back.

    The live processes hear of that when they renew their leases, up to five seconds later. Here they do so at once: what
    falls silent for its whole lease within these seconds may end by it, or get one more.
    """
    story.has_clock_worker = True
    story.run_processes()
    story.run_clock_worker()
    story.run_processes(renew=True)


@step
def lose_database(story: Story) -> None:
    """Nothing can be stored or read."""
    story.has_database = False
    story.history.without_database.append((story.now, NEVER))
    story.product.database(is_away=True)


@step
def find_database(story: Story) -> None:
    """The database is back, as it was."""
    story.has_database = True
    since, _ = story.history.without_database.pop()
    story.history.without_database.append((since, story.now))
    story.product.database(is_away=False)


@step
def start_process(story: Story, process: str) -> None:
    """One live process more."""
    story.start_process(process)


@step
def kill_process(story: Story, process: str) -> None:
    """kill -9: its streams break, what it has not written is lost, and nothing tells the others."""
    story.product.kill_process(process)
    story.history.processes[process].killed_at = story.now
    for page in story.pages.values():
        if page.process == process:
            page.connected = False
    for operator in [name for name, workspace in story.workspaces.items() if workspace.process == process]:
        del story.workspaces[operator]


@step
def set_clock(story: Story, milliseconds: int) -> None:
    """The clock on the wall is set forwards or, by less than 0, back; no time passes.

    The live processes renew their leases at once, as in `start_clock_worker`.
    """
    story.turn()
    story.clock.move(1)
    story.clock.step(milliseconds)
    story.history.ahead.set(story.now, story.history.ahead.at(story.now) + timedelta(milliseconds=milliseconds))
    if milliseconds < 0:
        story.moments.clear()
    story.run_clock_worker(all_given=False)  # who was heard is known again as soon as the live processes have written
    story.run_processes(renew=True)

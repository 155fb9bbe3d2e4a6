"""What visitors and their browsers do."""

from tests.model.facts import CLOSED_BY_VISITOR, Dialog, Move, Written
from tests.model.life_rules import is_open, receiver
from tests.model.queue_rules import DONE, IS_CLOSED
from tests.model.story import Page, Story, step

OTHER = "es"  # a language the account does not have
UNKNOWN = "warehouse"  # a department the account does not have


def number_of(story: Story, dialog: Dialog) -> int:
    """Numbers are given from 1 in the order of the starts."""
    return story.history.dialogs.index(dialog) + 1


@step
def open_page(story: Story, visitor: str, tab: str, process: str) -> None:
    """A page opens in a tab. The page it replaces, if any, says goodbye right after (P2: that is the usual order)."""
    old = story.pages.get((visitor, tab))
    page = story.pages[visitor, tab] = Page(story.new_key(), process)
    story.product.page_opens(visitor, page.key, process)
    story.heard(visitor, page)
    if old is not None and old.connected:
        story.clock.move(1)
        say_goodbye_of(story, visitor, old)


@step
def leave_page(story: Story, visitor: str, tab: str) -> None:
    """The page is left; its goodbye arrives."""
    say_goodbye_of(story, visitor, story.pages.pop((visitor, tab)))


def say_goodbye_of(story: Story, visitor: str, page: Page) -> None:
    story.product.page_says_goodbye(visitor, page.key, page.process)
    story.history.visitors[visitor].said_goodbye(page.key, story.now, page.process)


@step
def come_back(story: Story, visitor: str, tab: str, process: str) -> None:
    """The network carries a page again, or it comes out of the page cache: the same visit opens its stream anew."""
    page = story.pages[visitor, tab]
    page.connected, page.process = True, process
    story.product.page_opens(visitor, page.key, process)
    story.heard(visitor, page)


@step
def say_goodbye_and_stay(story: Story, visitor: str, tab: str) -> None:
    """The page goes into the browser's page cache: it says goodbye, and may come back."""
    page = story.pages[visitor, tab]
    page.connected = False
    say_goodbye_of(story, visitor, page)


@step
def lose_network(story: Story, visitor: str, tab: str) -> None:
    """Nothing is heard of the page any more."""
    story.pages[visitor, tab].connected = False


@step
def answer_ping(story: Story, visitor: str, tab: str) -> None:
    """The page answers a ping of its stream."""
    story.sign(visitor, story.pages[visitor, tab])


@step
def write(story: Story, visitor: str, tab: str | None, department: str, language: str, from_app: bool = False) -> None:
    """The visitor sends a message from a page or the app, or without any (tab None: mail, API)."""
    page = story.pages.get((visitor, tab)) if tab else None
    person = story.history.visitors[visitor]
    if page is not None:
        person.gave_sign(page.key, story.now, "web")
    dialog = receiver(story.history, person, department or None, language, story.now)
    if dialog is None:
        dialog = Dialog(person, story.now, department or None, language, from_app)
        story.history.dialogs.append(dialog)
    dialog.written.append(Written(story.now, "visitor"))
    number = story.product.visitor_writes(visitor, page.key if page else "", department, language, from_app=from_app)
    assert number == number_of(story, dialog), f"the message went into #{number} instead of #{number_of(story, dialog)}"


@step
def visitor_closes(story: Story, number: int) -> None:
    """The visitor ends the chat."""
    dialog = story.looked_at(number)
    outcome = DONE if is_open(story.history, dialog, story.now) else IS_CLOSED
    if story.tries(outcome, lambda: story.product.visitor_closes(dialog.visitor.name, number)):
        dialog.moves.append(Move(story.now, CLOSED_BY_VISITOR))


@step
def wait(story: Story, milliseconds: int) -> None:
    """Nothing happens but time."""
    story.wait(milliseconds)

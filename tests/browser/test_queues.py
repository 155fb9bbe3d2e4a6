"""Queues as two operators, a supervisor and three visitors live them: one dialog, one owner, whatever happens (Q2 to Q10)."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SOON = 15_000  # two seconds by the contract (Q1), and what a loaded machine adds


def section(page, name):
    return page.get_by_role("navigation", name="Dialogs").get_by_role("region", name=name)


def card(page, number, name="Dialogs"):
    place = page.get_by_role("navigation", name=name) if name == "Dialogs" else section(page, name)
    return place.get_by_role("link", name=re.compile(f"^#{number}\\b"))


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def main(page):
    return page.get_by_role("main")


def violations(page):
    """What axe-core complains about, with all its rules."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


@pytest.fixture
def quiet(server):
    """The demo account as it was made, whatever a test changes."""
    yield
    server.run("""
        Account.objects.filter(slug="demo").update(assignment="manual", max_online_dialogs=0, max_offline_dialogs=0)
        Account.objects.filter(slug="demo").update(visible_online_dialogs=100, visible_offline_dialogs=50)
        Operator.objects.update(max_online_dialogs=None, max_offline_dialogs=None, status="offline")
        boris = Operator.objects.get(username="boris")
        boris.departments.set(Department.objects.filter(account=boris.account, slug="sales"))
        boris.languages.set(Language.objects.filter(account=boris.account, code="ru"))
        for dialog in Dialog.objects.filter(state__in=OPEN_STATES):
            conversation.close_by_operator(dialog.pk, Operator.objects.get(username="vera"))
        Dialog.objects.exclude(state__in=OPEN_STATES).update(state="closed", closes_at=None, wake_at=None)
    """)


@pytest.fixture
def chat(people, server):
    """A visitor writes through the widget of the demo site: their page and the dialog's number."""

    def chat(text):
        page = people().new_page()
        page.goto(f"{server.url}/demo/")
        expect(page.get_by_role("button", name="Chat with us")).to_be_visible(timeout=SOON)  # Anna has just come online
        page.get_by_role("button", name="Chat with us").click()
        window = page.get_by_role("dialog")
        window.get_by_role("textbox", name="Message").fill(text)
        window.get_by_role("button", name="Send", exact=True).click()
        expect(window).to_contain_text(re.compile(r"#\d+"))
        return page, int(re.search(r"#(\d+)", window.inner_text()).group(1))

    return chat


def reply(page):
    return main(page).get_by_role("textbox", name="Reply")


def say(page, text):
    """The visitor goes on in the open window."""
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Message").fill(text)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window.get_by_role("log")).to_contain_text(text)


def test_a_day_of_two_operators_a_supervisor_and_three_visitors(quiet, sign_in, chat, server):
    """Manual assignment: take at once, hand on after a warning, pick up, take over, close, write again."""
    server.run("""
        boris = Operator.objects.get(username="boris")
        boris.departments.add(Department.objects.get(account=boris.account, slug="support"))
        boris.languages.set(Language.objects.filter(account=boris.account))
    """)
    anna, boris = sign_in("anna"), sign_in("boris")
    anna.get_by_label("Status").select_option(label="Online")
    visitors = [chat(f"Question {place}") for place in ("one", "two", "three")]
    (marina, first), (_second_page, second), (_third_page, third) = visitors
    vera = sign_in("vera")

    # three visitors on the site wait in everybody's General queue
    for page in (anna, boris, vera):
        for number in (first, second, third):
            expect(card(page, number, "General queue")).to_be_visible(timeout=SOON)

    # both take the same one at once: one has it, the other is told who
    for page in (anna, boris):
        page.goto(f"{server.url}/workspace/{first}/")
        expect(button(page, "Take")).to_be_visible()
    for page in (anna, boris):  # neither page hears of the other's before it asked
        page.evaluate("setTimeout(() => document.querySelector('#take').click(), 300)")
    for page in (anna, boris):
        expect(reply(page).or_(main(page).get_by_text("has this dialog."))).to_be_visible(timeout=SOON)
    winner, loser = (anna, boris) if reply(anna).count() else (boris, anna)
    name, login = ("Anna", "boris") if winner is anna else ("Boris", "anna")
    expect(main(loser).get_by_text(re.compile(f"{name} .*has this dialog"))).to_be_visible()
    expect(reply(winner)).to_be_focused()
    assert server.run(f"print(DialogEvent.objects.filter(dialog__number={first}, kind='picked_up').count())") == "1"
    assert violations(loser) == []

    # handed on, which the other is warned of and confirms nothing by itself: not online there, so it asks
    server.run(f"set_status(Operator.objects.get(username='{login}'), 'lunch')")
    button(winner, "Transfer").click()
    box = winner.get_by_role("dialog")
    expect(box).to_be_visible()
    assert violations(winner) == []
    other = "Boris" if name == "Anna" else "Anna"
    box.get_by_role("button", name=re.compile(other)).click()
    expect(box.get_by_text("is not online")).to_be_visible()
    box.get_by_role("button", name="Transfer anyway").click()
    expect(card(loser, first, "Waiting for a reply")).to_be_visible(timeout=SOON)
    expect(card(vera, first, "Other operators")).to_be_visible(timeout=SOON)

    # picked up and answered; the visitor reads it
    loser.goto(f"{server.url}/workspace/{first}/")
    button(loser, "Take").click()
    reply(loser).fill("It is on its way.")
    button(loser, "Send").click()
    expect(marina.get_by_role("dialog").get_by_role("log")).to_contain_text("It is on its way.", timeout=SOON)
    expect(card(loser, first, "In dialog with you")).to_be_visible(timeout=SOON)

    # the supervisor takes it over, after being asked
    vera.goto(f"{server.url}/workspace/{first}/")
    button(vera, "Take").click()
    vera.get_by_role("button", name="Take anyway").click()
    expect(reply(vera)).to_be_visible(timeout=SOON)
    expect(card(loser, first, "In dialog with you")).to_be_hidden(timeout=SOON)

    # the visitor ends the chat and writes again: the same dialog, for whom it was with, who is not online. Nobody is, and no
    # contacts are known: it goes on all the same
    server.run("set_status(Operator.objects.get(username='anna'), 'offline')")
    expect(marina.get_by_role("button", name="Leave a message")).to_be_attached(timeout=SOON)
    marina.get_by_role("button", name="End chat").click()
    expect(marina.get_by_role("dialog")).to_contain_text("Write again to go on with it.", timeout=SOON)
    expect(main(vera)).to_contain_text("closed by the visitor", ignore_case=True, timeout=SOON)
    say(marina, "One thing more")
    expect(card(vera, first, "General queue")).to_be_visible(timeout=SOON)
    assert server.run(f"print(Dialog.objects.filter(visitor__dialogs__number={first}).count())") == "1"

"""Queues as two operators, a supervisor and three visitors live them: one dialog, one owner, whatever happens (Q2 to Q10)."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.faces import button, card, main, reply, say, violations

pytestmark = pytest.mark.browser


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
            expect(card(page, number, "General queue")).to_be_visible()

    # both take the same one at once: one has it, the other is told who
    for page in (anna, boris):
        page.goto(f"{server.url}/workspace/{first}/")
        expect(button(page, "Take")).to_be_visible()
    for page in (anna, boris):  # neither page hears of the other's before it asked
        page.evaluate("setTimeout(() => document.querySelector('#take').click(), 300)")
    for page in (anna, boris):
        expect(reply(page).or_(main(page).get_by_text("has this dialog."))).to_be_visible()
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
    expect(card(loser, first, "Waiting for a reply")).to_be_visible()
    expect(card(vera, first, "Other operators")).to_be_visible()

    # picked up and answered; the visitor reads it
    loser.goto(f"{server.url}/workspace/{first}/")
    button(loser, "Take").click()
    reply(loser).fill("It is on its way.")
    button(loser, "Send").click()
    expect(marina.get_by_role("dialog").get_by_role("log")).to_contain_text("It is on its way.")
    expect(card(loser, first, "In dialog with you")).to_be_visible()

    # the supervisor takes it over, after being asked
    vera.goto(f"{server.url}/workspace/{first}/")
    button(vera, "Take").click()
    vera.get_by_role("button", name="Take anyway").click()
    expect(reply(vera)).to_be_visible()
    expect(card(loser, first, "In dialog with you")).to_be_hidden()

    # the visitor ends the chat and writes again: the same dialog, for whom it was with, who is not online. Nobody is, and no
    # contacts are known: it goes on all the same
    server.run("set_status(Operator.objects.get(username='anna'), 'offline')")
    expect(marina.get_by_role("button", name="Leave a message")).to_be_attached()
    marina.get_by_role("button", name="End chat").click()
    expect(marina.get_by_role("dialog")).to_contain_text("Write again to go on with it.")
    expect(main(vera)).to_contain_text("closed by the visitor", ignore_case=True)
    say(marina, "One thing more")
    expect(card(vera, first, "General queue")).to_be_visible()
    assert server.run(f"print(Dialog.objects.filter(visitor__dialogs__number={first}).count())") == "1"


def test_a_dialog_that_was_closed_comes_back_to_whom_it_was_with(quiet, sign_in, chat, server):
    """Q9: as its operator, who is still online, and its visitor see it."""
    anna = sign_in("anna")
    anna.get_by_label("Status").select_option(label="Online")
    marina, number = chat("Do you sell kettles?")
    card(anna, number, "General queue").click()
    button(anna, "Take").click()
    button(anna, "Close dialog").click()
    expect(main(anna)).to_contain_text("A message of the visitor reopens it until")
    expect(card(anna, number)).to_have_count(0)
    expect(marina.get_by_role("dialog")).to_contain_text("Write again to go on with it.")
    say(marina, "And samovars?")
    expect(card(anna, number, "In dialog with you")).to_contain_text("And samovars?")
    expect(reply(anna)).to_be_visible()
    expect(anna.get_by_role("log")).to_contain_text("And samovars?")
    reply(anna).fill("Both.")
    anna.keyboard.press("Control+Enter")
    log = marina.get_by_role("dialog").get_by_role("log")
    for text in ("Do you sell kettles?", "And samovars?", "Both."):
        expect(log).to_contain_text(text)
    expect(marina.get_by_role("dialog")).to_contain_text(f"#{number}")
    assert anna.problems == []


def test_taking_at_the_limit_asks_first_and_no_is_no(quiet, sign_in, write, server):
    """Q5: by hand one may go over the limit that the warning names."""
    has, wants = write("First Fiona"), write("Second Sven")
    server.run(f"""
        anna = Operator.objects.get(username="anna")
        Operator.objects.filter(pk=anna.pk).update(max_offline_dialogs=1)
        assignment_by_hand.take(Dialog.objects.get(number={has}, account=anna.account).pk, anna)
    """)
    anna = sign_in("anna")
    card(anna, wants).click()
    button(anna, "Take").click()
    asked = anna.get_by_role("dialog")
    expect(asked).to_contain_text("1 offline dialog; the limit is 1.")
    expect(asked.get_by_role("button", name="Take anyway")).to_be_focused()
    asked.get_by_role("button", name="Cancel").click()
    expect(button(anna, "Take")).to_be_focused()
    expect(card(anna, wants, "Offline inquiries")).to_be_visible()
    assert server.run(f"print(Dialog.objects.get(number={wants}, account__slug='demo').operator)") == "None"
    anna.keyboard.press("t")
    expect(button(anna, "Take anyway")).to_be_focused()
    anna.keyboard.press("Enter")
    expect(reply(anna)).to_be_focused()
    expect(card(anna, wants, "In dialog with you")).to_be_visible()
    assert [text for text in anna.problems if "409" not in text] == []  # the browser's own word about the refusal

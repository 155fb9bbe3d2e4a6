"""The workspace without a mouse, without a network and on a phone: where the focus and what was written go."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.faces import button, card, main, reply
from tests.running import eventually

pytestmark = pytest.mark.browser


def owner(server, number):
    return server.run(f"print(Dialog.objects.get(number={number}, account__slug='demo').operator)")


def test_taken_given_back_handed_on_and_closed(quiet, sign_in, write, server):
    server.run("""
        boris = Operator.objects.get(username="boris")
        boris.departments.add(Department.objects.get(account=boris.account, slug="support"))
        boris.languages.set(Language.objects.filter(account=boris.account))
        for n in range(1, 7):
            Department.objects.create(account=boris.account, slug=f"desk-{n}", name=f"Desk {n}")
    """)
    numbers = [write(f"Keyboard Kim {n}") for n in range(4)]
    handed, *rest = numbers
    anna = sign_in("anna")
    press = anna.keyboard.press

    # Undo of Take: back in its queue, and whoever wants it takes it there
    card(anna, handed).focus()
    press("Enter")
    expect(button(anna, "Take")).to_be_focused()
    press("t")
    expect(reply(anna)).to_be_focused()
    expect(card(anna, handed, "In dialog with you")).to_be_visible()
    button(anna, "Undo").press("Enter")
    expect(button(anna, "Take")).to_be_focused()
    expect(card(anna, handed, "Offline inquiries")).to_be_visible()
    expect(button(anna, "Undo")).to_have_count(0)
    assert owner(server, handed) == "None"

    # the list of whom to hand it to: found by typing, walked by arrows, left by Escape
    press("t")
    expect(reply(anna)).to_be_focused()
    button(anna, "Transfer").press("Enter")
    box = anna.get_by_role("dialog", name=f"Transfer #{handed}")
    search = box.get_by_role("searchbox")
    boris, sales = box.get_by_role("button", name="Boris"), box.get_by_role("button", name="Sales")
    expect(search).to_be_focused()
    anna.keyboard.type("BORI")
    expect(boris).to_be_visible()
    expect(sales).to_be_hidden()
    press("ArrowDown")
    expect(boris).to_be_focused()
    press("ArrowUp")
    expect(search).to_be_focused()
    search.fill("desk")
    expect(box.get_by_role("listitem")).to_have_count(6)
    press("Enter")
    expect(box.get_by_role("button", name="Desk 1")).to_be_focused()
    press("ArrowDown")
    expect(box.get_by_role("button", name="Desk 2")).to_be_focused()
    search.fill("nobody of that name")
    expect(box.get_by_text("There is nobody else.")).to_be_visible()
    press("Escape")
    expect(search).to_have_value("")
    expect(sales).to_be_visible()
    press("Escape")
    expect(button(anna, "Transfer")).to_be_focused()
    press("p")
    expect(search).to_be_focused()
    anna.keyboard.type("bori")
    press("Enter")
    expect(boris).to_be_focused()
    press("Enter")
    expect(button(anna, "Transfer anyway")).to_be_focused()
    press("Enter")
    expect(main(anna)).to_contain_text("Boris Petrov has this dialog.")
    expect(main(anna)).to_be_focused()
    assert owner(server, handed) == "Boris Petrov"

    # after Close: the next card; after the last one's: the one before
    server.run(f"""
        anna = Operator.objects.get(username="anna")
        for number in {rest}:
            assignment_by_hand.take(Dialog.objects.get(number=number, account=anna.account).pk, anna)
    """)
    first, second, third = (card(anna, number, "In dialog with you") for number in rest)
    expect(third).to_be_visible()
    second.focus()
    press("Enter")
    expect(reply(anna)).to_be_focused()
    press("Escape")
    expect(second).to_be_focused()
    press("e")
    expect(second).to_have_count(0)
    expect(third).to_be_focused()
    press("Enter")
    expect(reply(anna)).to_be_focused()
    press("Escape")
    press("e")
    expect(third).to_have_count(0)
    expect(first).to_be_focused()
    assert [text for text in anna.problems if "409" not in text] == []  # the browser's own word about the warning


LEAVING = """() => {
    const leaving = new Event('beforeunload', {cancelable: true});
    window.dispatchEvent(leaving);
    return leaving.defaultPrevented;
}"""


def test_what_is_sent_without_a_network_leaves_once_and_in_order_when_it_is_back(quiet, sign_in, write, server):
    number = write("Offline Oscar")
    anna = sign_in("anna")
    card(anna, number).click()
    button(anna, "Take").click()
    expect(reply(anna)).to_be_focused()
    swallowed = []

    def swallow(route):  # the network takes the first, and says nothing
        swallowed.append(route)

    anna.route("**/answer/", swallow, times=1)

    def send(text):
        anna.keyboard.type(text)
        anna.keyboard.press("Control+Enter")

    send("one")
    expect(main(anna).get_by_text("Sending…")).to_have_count(1)
    anna.context.set_offline(True)
    expect(anna.get_by_text("No connection.")).to_be_visible()
    send("two")
    send("three")
    expect(main(anna).get_by_text("Waits for the connection.")).to_have_count(3)
    swallowed.pop().abort()
    assert anna.evaluate(LEAVING)  # the browser asks before what waits is thrown away
    anna.keyboard.type("half an ans")
    anna.context.set_offline(False)
    expect(anna.get_by_text("No connection.")).to_be_hidden()
    expect(main(anna).locator("[data-pending]")).to_have_count(0)
    expect(reply(anna)).to_have_value("half an ans")
    assert not anna.evaluate(LEAVING)
    for text in ("one", "two", "three"):
        expect(anna.get_by_role("log").get_by_text(text, exact=True)).to_have_count(1)
    sent = f"Message.objects.filter(dialog__number={number}, kind='operator').order_by('pk').values_list('text', flat=True)"
    assert server.run(f"print(*{sent})") == "one two three"


def test_on_a_phone_list_and_dialog_are_two_screens_with_a_way_back(quiet, sign_in, write):
    number = write("Pocket Paula")
    anna = sign_in("anna", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    dialogs = anna.get_by_role("navigation", name="Dialogs")
    asked = []
    anna.route("**/workspace/panel/**", lambda route: asked.append(route), times=1)
    write("Pocket Peter")
    eventually(lambda: anna.wait_for_timeout(50) or asked)
    card(anna, number).tap()
    expect(anna).to_have_url(re.compile(f"/workspace/{number}/$"))
    expect(button(anna, "Take")).to_be_in_viewport()
    expect(dialogs).to_be_hidden()
    with anna.expect_response("**/workspace/panel/?has=*&open=&**"):
        asked.pop().continue_()  # a list that does not know yet which dialog is open
    anna.get_by_role("link", name="Back to the list").tap()
    expect(anna).to_have_url(re.compile("/workspace/$"))
    expect(card(anna, number)).to_be_focused()
    expect(button(anna, "Take")).to_be_hidden()
    anna.go_back()
    expect(button(anna, "Take")).to_be_in_viewport()
    expect(dialogs).to_be_hidden()
    anna.go_back()
    expect(card(anna, number)).to_be_in_viewport()
    expect(anna).to_have_url(re.compile("/workspace/$"))
    assert anna.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert anna.problems == []

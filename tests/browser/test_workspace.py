"""The workspace in a real browser: live, without a reload, and kind to the hand and the keyboard."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


@pytest.fixture
def sign_in(people, server):
    def sign_in(login, **options):
        page = people(**options).new_page()
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(f"{server.url}/accounts/login/")
        page.locator("[name=username]").fill(login)
        page.locator("[name=password]").fill(f"{login}-demo")
        page.locator("[name=password]").press("Enter")
        page.wait_for_url("**/workspace/")
        return page

    return sign_in


@pytest.fixture
def write(server):
    """A fresh visitor of the demo account writes; the dialog's number."""

    def write(name, text="Where is my order?"):
        return int(
            server.run(f"""
                import secrets
                account = Account.objects.get(slug="demo")
                visitor = Visitor.objects.create(account=account, token_digest=secrets.token_hex(8), name={name!r})
                submission = conversation.Submission(text={text!r}, key=secrets.token_hex(8), department="support")
                print(conversation.visitor_writes(account.pk, visitor.pk, submission).dialog.number)
            """)
        )

    return write


def card(page, number):
    return page.get_by_role("navigation", name="Dialogs").get_by_role("link", name=re.compile(f"^#{number} "))


def test_a_new_dialog_appears_is_taken_answered_and_closed_by_keyboard(sign_in, write):
    anna = sign_in("anna")
    number = write("Keyboard Kate")
    expect(card(anna, number)).to_be_visible(timeout=4000)
    card(anna, number).focus()
    anna.keyboard.press("Enter")
    expect(anna).to_have_url(re.compile(f"/workspace/{number}/$"))
    expect(anna.get_by_role("button", name="Take", exact=True)).to_be_focused()
    anna.keyboard.press("t")
    reply = anna.get_by_role("textbox", name="Reply")
    expect(reply).to_be_focused()
    anna.keyboard.type("First line")
    anna.keyboard.press("Enter")
    anna.keyboard.type("second line")
    anna.keyboard.press("Control+Enter")
    expect(anna.get_by_role("log")).to_contain_text("First line\nsecond line", use_inner_text=True)
    expect(reply).to_have_value("")
    anna.keyboard.press("Escape")
    expect(card(anna, number)).to_be_focused()
    anna.keyboard.press("e")
    expect(card(anna, number)).to_have_count(0)
    assert anna.problems == []


def test_what_is_typed_stays_through_live_updates_and_comes_back_with_its_dialog(sign_in, write, server):
    anna = sign_in("anna")
    first, second = write("Draft One"), write("Draft Two")
    for number in (first, second):
        card(anna, number).click()
        anna.get_by_role("button", name="Take", exact=True).click()
        expect(anna.get_by_role("textbox", name="Reply")).to_be_visible()
    reply = anna.get_by_role("textbox", name="Reply")
    reply.fill("half an answer")
    server.run(f"""
        dialog = Dialog.objects.get(number={second}, account__slug="demo")
        again = conversation.Submission(text="Are you there?", key="again-{second}")
        conversation.visitor_writes(dialog.account_id, dialog.visitor_id, again)
    """)
    expect(anna.get_by_role("log")).to_contain_text("Are you there?", timeout=4000)
    expect(reply).to_have_value("half an answer")
    card(anna, first).click()
    expect(anna.get_by_role("textbox", name="Reply")).to_have_value("")
    card(anna, second).click()
    expect(anna.get_by_role("textbox", name="Reply")).to_have_value("half an answer")


def test_a_card_stays_the_same_node_and_waits_for_the_hand_to_leave(sign_in, write, server):
    anna = sign_in("anna")
    number = write("Steady Steve")
    expect(card(anna, number)).to_be_visible(timeout=4000)
    node = card(anna, number).element_handle()
    node.evaluate("card => { card.mark = 1 }")
    card(anna, number).hover()
    server.run(f"""
        dialog = Dialog.objects.get(number={number}, account__slug="demo")
        assignment.take(dialog.pk, Operator.objects.get(username="vera"))
    """)
    box = card(anna, number).bounding_box()
    for step in range(8):
        anna.mouse.move(box["x"] + 20 + step, box["y"] + 8)
        anna.wait_for_timeout(200)
    assert node.evaluate("card => [card.mark, card.isConnected]") == [1, True]
    assert "card--gone" in node.get_attribute("class")
    anna.mouse.move(900, 400)
    expect(card(anna, number)).to_have_count(0)


def test_an_answer_that_did_not_go_out_says_so_and_is_sent_once_when_sent_again(sign_in, write, server):
    anna = sign_in("anna")
    number = write("Patient Pat")
    card(anna, number).click()
    anna.get_by_role("button", name="Take", exact=True).click()
    anna.get_by_role("textbox", name="Reply").fill("Only once")

    def lose_the_answer(route):
        route.fetch()  # the server gets it, the page never hears so
        route.abort()

    anna.route("**/answer/", lose_the_answer, times=1)
    anna.keyboard.press("Control+Enter")
    anna.get_by_role("button", name="Send again").click()
    expect(anna.get_by_role("log").get_by_text("Only once")).to_have_count(1)
    assert server.run(f"print(Message.objects.filter(dialog__number={number}, text='Only once').count())") == "1"


def test_without_the_server_the_page_says_so_keeps_what_is_there_and_recovers(sign_in, write):
    anna = sign_in("anna")
    number = write("Lost Lena")
    expect(card(anna, number)).to_be_visible(timeout=4000)
    anna.context.set_offline(True)
    expect(anna.get_by_text("No connection.")).to_be_visible(timeout=30_000)
    expect(card(anna, number)).to_be_visible()
    anna.context.set_offline(False)
    expect(anna.get_by_text("No connection.")).to_be_hidden(timeout=30_000)
    later = write("Found Fred")
    expect(card(anna, later)).to_be_visible(timeout=6000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("locale", ["en-GB", "ru-RU"])
def test_axe_finds_nothing(sign_in, write, server, scheme, width, locale):
    number = write("Светлана Константинопольская" * 2)
    vera = sign_in("vera", viewport={"width": width, "height": 844}, color_scheme=scheme, locale=locale, bypass_csp=True)
    pages = [vera.url, f"{server.url}/workspace/{number}/", f"{server.url}/workspace/999999/", f"{server.url}/accounts/login/"]
    for address in pages:
        vera.goto(address)
        vera.evaluate(AXE.read_text())
        found = vera.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
        assert vera.evaluate("document.documentElement.scrollWidth <= innerWidth")

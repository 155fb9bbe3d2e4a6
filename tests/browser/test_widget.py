"""The widget in a real browser (W1 to W5, A4, P2, M10, B1): on the demo shop and on a stranger's page."""

import json
import re
import time

import pytest
from playwright.sync_api import expect

from operators.known_accounts import KEPT_FOR
from tests.browser.faces import violations

pytestmark = pytest.mark.browser


def opened(context, url):
    """A page of the visitor that remembers every complaint of console and policy."""
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(url)
    return page


def launcher(page, name):
    return page.get_by_role("button", name=name)


def leave_message(page, text="Do you have green tea?", email="marina@mail.example"):
    launcher(page, "Leave a message").click()
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Name").fill("Marina")
    window.get_by_role("textbox", name="Email").fill(email)
    window.get_by_role("textbox", name="Message").fill(text)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text(re.compile(r"Inquiry #\d+ received"), use_inner_text=True)
    return int(re.search(r"#(\d+)", window.inner_text()).group(1))


def until(question, seconds=6.0):
    """Wait for a fact that the server knows."""
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


@pytest.fixture(autouse=True)
def _everybody_goes_home(server):
    yield
    said = server.run("""
        account = Account.objects.get(slug="demo")
        for person in account.operators.exclude(status="offline"):
            set_status(person, "offline")
        usual = {"left_messages_in_workspace": True, "widget_offline_mode": "form"}
        usual |= {"contact_email": "required", "contact_phone": "off"}
        print(len(change_settings(account, usual, actor=None)))
    """)
    if said.strip() != "0":
        time.sleep(KEPT_FOR + 0.1)  # until the service's own process knows


def test_a_left_message_is_confirmed_and_stays_over_pages_and_visits(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    window = page.get_by_role("dialog")
    expect(window.get_by_role("log")).to_contain_text("Do you have green tea?", use_inner_text=True)
    expect(window.get_by_role("button", name="End chat")).to_be_visible()
    expect(window).to_contain_text("Delivered", use_inner_text=True)

    page.get_by_role("link", name="About the shop").click()
    launcher(page, "Leave a message").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"#{number}", use_inner_text=True)
    page.reload()
    launcher(page, "Leave a message").click()
    expect(page.get_by_role("log")).to_contain_text("Do you have green tea?", use_inner_text=True)
    page.close()
    again = opened(visitor, f"{server.url}/demo/about/")
    launcher(again, "Leave a message").click()
    expect(again.get_by_role("log")).to_contain_text("Do you have green tea?", use_inner_text=True)
    assert page.problems == again.problems == []
    stored = server.run(f"""
        dialog = Dialog.objects.get(account__slug="demo", number={number})
        print(dialog.start_state, dialog.department.slug, dialog.language.code, dialog.visitor.name, dialog.visitor.email)
    """)
    assert stored == "offline support en Marina marina@mail.example"


def test_the_form_says_what_is_missing_and_keeps_what_was_typed(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    launcher(page, "Leave a message").click()
    window = page.get_by_role("dialog")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text("Fill in this field.", use_inner_text=True)
    expect(window).to_contain_text("Write a message.", use_inner_text=True)
    expect(window.get_by_role("textbox", name="Email")).to_be_focused()
    window.get_by_role("textbox", name="Message").fill("Hello")
    window.get_by_role("textbox", name="Email").fill("marina@mail")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text("Check the address", use_inner_text=True)
    expect(window.get_by_role("textbox", name="Message")).to_have_value("Hello")
    expect(window.get_by_role("textbox", name="Email")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("link", name="About the shop").click()
    launcher(page, "Leave a message").click()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("Hello")


def test_the_button_follows_the_operators_live(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    expect(launcher(page, "Leave a message")).to_be_visible()
    server.choose("boris", "online")  # of sales only
    server.choose("anna", "online")
    expect(launcher(page, "Chat with us")).to_be_visible()
    expect(launcher(page, "Leave a message")).to_have_count(0)
    server.choose("anna", "lunch")
    expect(launcher(page, "Leave a message")).to_be_visible()
    assert page.problems == []


def test_a_form_becomes_a_chat_when_an_operator_comes_and_nothing_typed_is_lost(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    launcher(page, "Leave a message").click()
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Name").fill("Marina")
    window.get_by_role("textbox", name="Email").fill("marina@mail.example")
    window.get_by_role("textbox", name="Message").fill("A kettle, please")
    server.choose("anna", "online")
    expect(window).to_contain_text("Everything you typed is kept.", use_inner_text=True)
    expect(window.get_by_role("textbox", name="Email")).to_have_count(0)
    expect(window.get_by_role("textbox", name="Message")).to_have_value("A kettle, please")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window.get_by_role("log")).to_contain_text(re.compile(r"#\d+"), use_inner_text=True)
    stored = server.run("""
        dialog = Dialog.objects.order_by("-pk").first()
        print(dialog.start_state, dialog.visitor.name, dialog.visitor.email, dialog.last_text)
    """)
    assert stored == "online Marina marina@mail.example A kettle, please"


def test_a_chat_becomes_an_inquiry_when_the_last_operator_leaves_and_contacts_are_asked_after(server, visitor):
    server.choose("anna", "online")
    page = opened(visitor, f"{server.url}/demo/")
    launcher(page, "Chat with us").click()
    window = page.get_by_role("dialog")
    expect(window.get_by_role("textbox", name="Email")).to_have_count(0)
    window.get_by_role("textbox", name="Message").fill("A kettle, please")
    server.choose("anna", "offline")
    expect(window).to_contain_text("Everything you typed is kept", use_inner_text=True)
    expect(window.get_by_role("textbox", name="Message")).to_have_value("A kettle, please")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window.get_by_role("log")).to_contain_text("A kettle, please", use_inner_text=True)
    window.get_by_role("textbox", name="Email").fill("marina@mail.example")
    window.get_by_role("button", name="Save contacts").click()
    expect(window.get_by_role("button", name="Save contacts")).to_have_count(0)
    stored = server.run("""
        dialog = Dialog.objects.order_by("-pk").first()
        print(dialog.start_state, dialog.visitor.email, dialog.last_text)
    """)
    assert stored == "offline marina@mail.example A kettle, please"


def test_answers_arrive_live_and_are_counted_while_the_window_is_closed(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    window = page.get_by_role("dialog")

    def answer(text):
        server.run(f"""
            dialog = Dialog.objects.get(account__slug="demo", number={number})
            conversation.answer(dialog.pk, Operator.objects.get(username="anna"), {text!r}, key={text!r}[:30])
        """)

    answer("Yes, two kinds")
    expect(window.get_by_role("log")).to_contain_text("Yes, two kinds", use_inner_text=True)
    expect(window.get_by_role("log")).to_contain_text("Anna Orlova", use_inner_text=True)
    window.get_by_role("button", name="Minimise").click()
    answer("Shall I send a list?")
    expect(launcher(page, re.compile(r"Leave a message\s*1 unread"))).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Shall I send a list?")).to_be_visible()
    launcher(page, "Leave a message").click()
    expect(window.get_by_role("log")).to_contain_text("Shall I send a list?", use_inner_text=True)
    page.reload()
    expect(launcher(page, re.compile("^Leave a message$"))).to_be_visible()


def test_a_message_after_the_end_goes_on_with_the_chat_and_later_starts_another(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    window = page.get_by_role("dialog")

    def write(text):
        window.get_by_role("textbox", name="Message").fill(text)
        window.get_by_role("button", name="Send", exact=True).click()

    window.get_by_role("button", name="End chat").click()
    expect(window).to_contain_text("You ended the chat. Write again to go on with it.", use_inner_text=True)
    expect(window.get_by_role("button", name="End chat")).to_have_count(0)
    write("One more question")
    expect(window.get_by_role("button", name="End chat")).to_be_visible()
    expect(window.get_by_role("log")).to_contain_text("Do you have green tea?", use_inner_text=True)
    assert server.run(f"print(Dialog.objects.get(account__slug='demo', number={number}).state)") == "queue"

    window.get_by_role("button", name="End chat").click()
    expect(window).to_contain_text("You ended the chat", use_inner_text=True)
    server.run(
        f"Dialog.objects.filter(account__slug='demo', number={number}).update(closes_at=database_now())"
    )  # ten minutes later
    write("Another question")
    expect(window).to_contain_text(re.compile(rf"Inquiry #(?!{number}\b)\d+ received"), use_inner_text=True)
    expect(window.get_by_role("log")).not_to_contain_text("Do you have green tea?", use_inner_text=True)
    assert server.run(f"print(Dialog.objects.get(account__slug='demo', number={number}).state)") == "closed"


def presence(server, number):
    return json.loads(
        server.run(f"""
            import json
            dialog = Dialog.objects.get(account__slug="demo", number={number})
            visits = dialog.visitor.visits.filter(ended_at=None).count()
            print(json.dumps([dialog.visitor.is_present, dialog.away_since is not None, visits]))
        """)
    )


def test_a_visit_lives_with_its_page_and_ends_with_its_goodbye(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    assert presence(server, number) == [True, False, 1]
    page.get_by_role("link", name="About the shop").click()
    expect(launcher(page, "Leave a message")).to_be_visible()
    assert until(lambda: presence(server, number) == [True, False, 1], 8)  # the next page's visit took over
    page.close(run_before_unload=True)
    assert until(lambda: presence(server, number) == [False, True, 0], 8)
    opened(visitor, f"{server.url}/demo/")
    assert until(lambda: presence(server, number) == [True, False, 1], 8)


def test_a_page_from_the_page_cache_is_a_visit_again(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    page.evaluate("""() => {
        window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}));
    }""")
    assert until(lambda: presence(server, number) == [False, True, 0], 8)
    page.evaluate("() => window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert until(lambda: presence(server, number) == [True, False, 1], 8)


def test_a_restart_of_the_service_is_no_goodbye(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    server.stop()
    server.start()
    window = page.get_by_role("dialog")
    expect(window.get_by_text("No network.")).to_be_hidden()
    server.run(f"""
        dialog = Dialog.objects.get(account__slug="demo", number={number})
        conversation.answer(dialog.pk, Operator.objects.get(username="anna"), "We are back", key="restart-1")
    """)
    expect(window.get_by_role("log")).to_contain_text("We are back", use_inner_text=True)
    assert until(lambda: presence(server, number) == [True, False, 1], 8)
    assert server.run(f"print(DialogEvent.objects.filter(dialog__number={number}, kind='visitor_left').count())") == "0"


def test_without_a_network_nothing_is_lost_and_nothing_is_sent_twice(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    window = page.get_by_role("dialog")
    visitor.set_offline(True)
    window.get_by_role("textbox", name="Message").fill("Are you there?")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text("Waiting for the network", use_inner_text=True)
    expect(window).to_contain_text("No network. Keep writing", use_inner_text=True)
    visitor.set_offline(False)
    expect(window).to_contain_text("Delivered", use_inner_text=True)
    expect(window).not_to_contain_text("Waiting for the network", use_inner_text=True)
    expect(window).not_to_contain_text("No network", use_inner_text=True)
    assert server.run(f"print(Message.objects.filter(dialog__number={number}, text='Are you there?').count())") == "1"


@pytest.mark.parametrize("patience", ["stays", "reloads"])
def test_a_lost_answer_makes_one_message(server, visitor, patience):
    page = opened(visitor, f"{server.url}/demo/")
    text = f"Only once: she {patience}"
    lost = []

    def lose_the_answer(route):
        if not lost and route.request.url.endswith("messages"):
            lost.append(route.fetch())  # the server has it, the visitor does not know
        route.abort()

    page.route(re.compile("/widget/api/(messages|conversation)"), lose_the_answer)
    launcher(page, "Leave a message").click()
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Email").fill("marina@mail.example")
    window.get_by_role("textbox", name="Message").fill(text)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text("Waiting for the network", use_inner_text=True)
    page.unroute_all()
    if patience == "reloads":
        page.reload()
        launcher(page, "Leave a message").click()
    expect(page.get_by_role("log")).to_contain_text(text, use_inner_text=True)
    expect(window).to_contain_text("Delivered", use_inner_text=True)
    assert server.run(f"print(Message.objects.filter(text={text!r}).count())") == "1"


def test_a_refused_message_waits_as_long_as_it_is_told(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    leave_message(page)
    window = page.get_by_role("dialog")
    answer = {"status": 429, "headers": {"Retry-After": "2", "Access-Control-Allow-Origin": "*"}, "json": {"retry_after": 2}}
    page.route("**/widget/api/messages", lambda route: route.fulfill(**answer), times=1)
    window.get_by_role("textbox", name="Message").fill("Too soon")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text("Too fast. We retry in 2 s.", use_inner_text=True)
    expect(window).to_contain_text("Delivered", use_inner_text=True)


def test_blocked_storage_costs_only_the_memory(server, visitor):
    visitor.add_init_script("""
        for (const area of ['localStorage', 'sessionStorage'])
            Object.defineProperty(window, area, {get() { throw new DOMException('blocked', 'SecurityError'); }});
    """)
    page = opened(visitor, f"{server.url}/demo/")
    leave_message(page)
    page.get_by_role("textbox", name="Message").fill("And one more")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("log")).to_contain_text("And one more", use_inner_text=True)
    expect(page.get_by_role("dialog")).to_contain_text("Delivered", use_inner_text=True)
    assert page.problems == []


def test_browsers_without_constructed_sheets_use_a_link(server, visitor):
    visitor.add_init_script("delete Document.prototype.adoptedStyleSheets; delete ShadowRoot.prototype.adoptedStyleSheets;")
    page = opened(visitor, f"{server.url}/demo/")
    button = launcher(page, "Leave a message")
    expect(button).to_have_css("border-radius", "999px")
    assert page.problems == []


def test_hidden_mode_shows_no_button_until_there_is_an_open_dialog(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    leave_message(page)
    server.run("""
        change_settings(Account.objects.get(slug="demo"), {"widget_offline_mode": "hidden"}, actor=None)
    """)
    time.sleep(KEPT_FOR + 0.1)  # a process that did not make the change knows it a second later
    page.reload()
    launcher(page, "Leave a message").click()
    page.get_by_role("button", name="End chat").click()
    page.get_by_role("button", name="Minimise").click()
    expect(launcher(page, "Leave a message")).to_have_count(0)
    server.choose("anna", "online")
    expect(launcher(page, "Chat with us")).to_be_visible()


@pytest.mark.parametrize(
    ("contacts", "words"),
    [({"Email": "marina@mail.example"}, "We will answer by e-mail"), ({"Phone": "+7 912 555-01-47"}, "We will contact you")],
)
def test_while_left_messages_only_go_by_mail_the_visitor_is_told_so(server, visitor, contacts, words):
    server.run("""
        mail_only = {"left_messages_in_workspace": False, "contact_email": "off", "contact_phone": "optional"}
        change_settings(Account.objects.get(slug="demo"), mail_only, actor=None)
    """)
    time.sleep(KEPT_FOR + 0.1)
    page = opened(visitor, f"{server.url}/demo/")
    launcher(page, "Leave a message").click()
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Message").fill("Do you deliver?")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text("Write an email or a phone", use_inner_text=True)
    for name, value in contacts.items():
        window.get_by_role("textbox", name=name).fill(value)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text(words, use_inner_text=True)
    expect(window).to_contain_text(re.compile(r"#\d+"), use_inner_text=True)


# what the README asks for: to Chromium, an http(s) source does not stand for the WebSocket of the same origin
POLICY = "default-src 'none'; script-src {origin}; connect-src {origin} {stream}; require-trusted-types-for 'script'"


def strangers_page(visitor, server, shop, *, account="demo", policy=POLICY, body=""):
    """A customer's page on another origin, with the one line and a policy that names our origin in two directives."""
    html = f"""<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1>{body}
        <script src="{server.url}/widget/{account}.js" data-department="support" data-language="en" async></script></body></html>"""
    return opened(visitor, shop(html, policy.format(origin=server.url, stream=server.url.replace("http", "ws", 1))))


def test_on_another_origin_under_a_strict_policy_nothing_complains(server, visitor, shop):
    page = strangers_page(visitor, server, shop)
    number = leave_message(page)
    server.run(f"""
        dialog = Dialog.objects.get(account__slug="demo", number={number})
        conversation.answer(dialog.pk, Operator.objects.get(username="anna"), "Hello", key="strict-1")
    """)
    expect(page.get_by_role("log")).to_contain_text("Hello", use_inner_text=True)
    expect(page.get_by_role("button", name="Leave a message")).to_have_css("border-radius", "999px")
    assert page.problems == []


def test_a_policy_that_forbids_streams_costs_one_console_line_and_polls_take_over(server, visitor, shop):
    page = strangers_page(visitor, server, shop, policy="default-src 'none'; script-src {origin}; connect-src {origin}")
    number = leave_message(page)
    server.run(f"""
        dialog = Dialog.objects.get(account__slug="demo", number={number})
        conversation.answer(dialog.pk, Operator.objects.get(username="anna"), "Hello", key="polls-1")
    """)
    expect(page.get_by_role("log")).to_contain_text("Hello", use_inner_text=True)
    assert [problem for problem in page.problems if "/live/visit/stream" not in problem] == []
    assert len(page.problems) == 1


def test_a_policy_that_forbids_us_leaves_the_page_untouched(server, visitor, shop):
    page = strangers_page(visitor, server, shop, policy="default-src 'none'; script-src {origin}")
    page.wait_for_timeout(1500)
    assert page.locator("[data-webim-offline]").count() == 0
    assert all("Content Security Policy" in problem or "Failed to fetch" in problem for problem in page.problems)


def test_an_unknown_account_is_one_console_line(server, visitor, shop):
    page = strangers_page(visitor, server, shop, account="nobody")
    page.wait_for_timeout(500)
    assert len(page.problems) == 1
    assert "nobody" in page.problems[0]
    assert page.locator("body > *").evaluate_all("nodes => nodes.map(node => node.tagName)") == ["H1", "SCRIPT"]


def test_typing_never_reaches_the_pages_shortcuts_and_its_styles_never_reach_us(server, visitor, shop):
    page = strangers_page(
        visitor, server, shop, policy="", body="<style>div, button { display: none !important } * { font-size: 40px }</style>"
    )
    page.evaluate("() => { window.keys = []; document.addEventListener('keydown', (event) => window.keys.push(event.key)); }")
    launcher(page, "Leave a message").click()
    page.get_by_role("textbox", name="Message").press_sequentially("jk?")
    assert page.evaluate("window.keys") == []
    expect(page.get_by_role("textbox", name="Message")).to_have_css("font-size", "16px")


def test_markup_from_people_stays_text(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page, text="<img src=x onerror=alert(1)> <b>bold</b>")
    server.run(f"""
        dialog = Dialog.objects.get(account__slug="demo", number={number})
        conversation.answer(dialog.pk, Operator.objects.get(username="anna"), "<script>alert(2)</script>", key="markup")
    """)
    expect(page.get_by_role("log")).to_contain_text("<script>alert(2)</script>", use_inner_text=True)
    expect(page.get_by_role("log")).to_contain_text("<img src=x onerror=alert(1)> <b>bold</b>", use_inner_text=True)
    assert page.locator("img, b >> text=bold").count() == 0


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server, people, width, scheme):
    context = people(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page = opened(context, f"{server.url}/demo/")

    def check(state):
        assert violations(page, "document.querySelector('[data-webim-offline]')") == [], state

    launcher(page, "Leave a message").wait_for()
    check("button")
    launcher(page, "Leave a message").click()
    check("form")
    page.get_by_role("button", name="Send", exact=True).click()
    check("errors")
    page.get_by_role("textbox", name="Email").fill("marina@mail.example")
    page.get_by_role("textbox", name="Message").fill("Is it open?")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Delivered", use_inner_text=True)
    check("chat")
    page.get_by_role("button", name="End chat").click()
    expect(page.get_by_role("dialog")).to_contain_text("You ended the chat", use_inner_text=True)
    check("ended")

"""The widget in two parts, in a real browser (decision 0026): what is asked for before it is opened, and a late window."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.faces import violations
from tests.browser.test_widget import POLICY, launcher, leave_message, opened, strangers_page, until

pytestmark = pytest.mark.browser

WINDOW = re.compile(r"/widget/window/")
BUDGET = 8000  # bytes
RECORDED = Path(__file__).parent / "recorded"
FAILED = "The chat did not open. Your text is kept; we keep trying."


@pytest.fixture(scope="module")
def settled(server, chromium):
    """A live process that has just started tells pages once that anything may have changed, and they read. That is over."""
    page = chromium.new_page(locale="en-GB")
    page.goto(f"{server.url}/demo/")
    expect(launcher(page, "Leave a message")).to_be_visible()
    page.wait_for_timeout(5000)
    page.close()


@pytest.fixture
def asked(visitor):
    """What the visitor's pages ask the service for: the paths of requests and streams."""
    paths = []

    def note(address):
        paths.append(address.partition("//")[2].partition("/")[2])

    visitor.on("request", lambda request: note(request.url) if re.search("/(widget|live)/", request.url) else None)
    visitor.on("page", lambda page: page.on("websocket", lambda stream: note(stream.url)))
    return paths


def windows(asked):
    return [path for path in asked if path.startswith("widget/window/")]


def test_before_it_is_opened_it_asks_twice_and_holds_a_stream(server, visitor, asked, settled):
    page = opened(visitor, f"{server.url}/demo/")
    expect(launcher(page, "Leave a message")).to_be_visible()
    page.wait_for_timeout(1500)
    assert sorted(asked) == ["live/visit/stream", "widget/api/session", "widget/demo.js"]
    assert page.problems == []


@pytest.mark.parametrize("locale", ["en-GB", "ru-RU"])
def test_before_it_is_opened_few_bytes_are_sent(server, people, locale, settled):
    page = people(locale=locale).new_page()
    sizes = {}
    names = {}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.responseReceived", lambda told: names.update({told["requestId"]: told["response"]}))
    network.on("Network.loadingFinished", lambda told: sizes.update({told["requestId"]: told["encodedDataLength"]}))
    page.goto(f"{server.url}/demo/")
    expect(page.locator("[data-webim-offline] button.w-launch")).to_be_visible()
    page.wait_for_timeout(1000)
    ours = {key: told for key, told in names.items() if re.search("/(widget|live)/", told["url"])}
    assert len(ours) == 2
    heads = sum(len(f"{name}: {value}\r\n") for told in ours.values() for name, value in told["headers"].items())
    bodies = sum(int({name.lower(): value for name, value in told["headers"].items()}["content-length"]) for told in ours.values())
    assert 0 < bodies <= BUDGET
    assert sum(sizes[key] for key in ours) <= BUDGET + heads + 200  # nothing else was sent: that is all of the wire


@pytest.mark.parametrize("by", ["hover", "focus", "touch"])
def test_whoever_comes_near_the_button_gets_the_window_once(server, people, asked, by, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    button = launcher(page, "Leave a message")
    expect(button).to_be_visible()
    if by == "hover":
        button.hover()
    elif by == "focus":
        button.focus()
    else:
        button.dispatch_event("touchstart")
    page.wait_for_timeout(1000)
    assert len(windows(asked)) == 1
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.mouse.move(0, 0)
    button.hover()
    button.click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    button.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    button.click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    assert len(windows(asked)) == 1
    assert asked.count("widget/api/session") == 2  # the button's, and the window's
    assert page.problems == []


def test_a_tap_opens_it(server, people):
    page = people(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{server.url}/demo/")
    launcher(page, "Leave a message").tap()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    expect(page.get_by_role("button", name="Minimise")).to_be_focused()


def test_the_keyboard_opens_and_closes_it_as_ever(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    button = launcher(page, "Leave a message")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Space")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()


def test_a_slow_window_does_not_take_the_focus_from_whoever_has_gone_on(server, visitor, shop):
    page = strangers_page(visitor, server, shop, body='<input aria-label="Search">')
    held = []
    page.route(WINDOW, lambda route: held.append(route))
    button = launcher(page, "Leave a message")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("dialog", name="Leave a message")).to_contain_text("Opening…", use_inner_text=True)
    page.get_by_role("textbox", name="Search").focus()
    held[0].continue_()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    expect(page.get_by_role("textbox", name="Search")).to_be_focused()


def typed_before(page):
    """Something was typed on an earlier page of this tab."""
    launcher(page, "Leave a message").click()
    page.get_by_role("textbox", name="Email").fill("marina@mail.example")
    page.get_by_role("textbox", name="Message").fill("A kettle, please")
    page.wait_for_timeout(400)


@pytest.mark.parametrize("what", ["the script", "the session", "the server"])
def test_a_window_that_does_not_come_says_so_and_keeps_what_was_typed(server, visitor, what):
    page = opened(visitor, f"{server.url}/demo/")
    typed_before(page)
    page.reload()
    expect(launcher(page, "Leave a message")).to_be_visible()
    address = {"the script": WINDOW, "the session": "**/session", "the server": re.compile(r"/widget/(window/|api/session)")}[what]
    page.route(address, lambda route: route.fulfill(status=503) if what == "the server" else route.abort())
    launcher(page, "Leave a message").click()
    card = page.get_by_role("dialog", name="Leave a message")
    expect(card).to_contain_text(FAILED, use_inner_text=True)
    expect(launcher(page, "Leave a message")).to_have_attribute("aria-expanded", "true")
    page.unroute_all()
    card.get_by_role("button", name="Try once more").click()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("A kettle, please")
    expect(page.get_by_role("textbox", name="Email")).to_have_value("marina@mail.example")
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"Inquiry #\d+ received"), use_inner_text=True)


def test_it_comes_by_itself_when_the_network_is_back(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    typed_before(page)
    page.reload()
    expect(launcher(page, "Leave a message")).to_be_visible()
    visitor.set_offline(True)
    launcher(page, "Leave a message").click()
    expect(page.get_by_role("dialog")).to_contain_text(FAILED, use_inner_text=True)
    visitor.set_offline(False)
    expect(page.get_by_role("textbox", name="Message")).to_have_value("A kettle, please")


def test_where_no_stream_gets_through_the_page_says_that_it_lives_until_the_polls_are_there(server, visitor, asked):
    """P2: neither a slow network nor a proxy that keeps the window's script away makes somebody leave."""
    visitor.add_init_script("delete window.WebSocket")
    page = visitor.new_page()
    page.route(WINDOW, lambda route: route.abort())
    page.goto(f"{server.url}/demo/")
    expect(launcher(page, "Leave a message")).to_be_visible()
    page.wait_for_timeout(22_000)
    beats = asked.count("live/visit/beat")
    assert 2 <= beats <= 6
    assert "live/visit/poll" not in asked
    page.unroute(WINDOW)
    page.context.set_offline(True)
    page.context.set_offline(False)  # it tries again at once
    with page.expect_request("**/live/visit/poll", timeout=30_000):
        pass


def test_a_window_that_does_not_come_can_be_closed(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    page.route(WINDOW, lambda route: route.abort())
    button = launcher(page, "Leave a message")
    button.click()
    card = page.get_by_role("dialog", name="Leave a message")
    expect(card).to_contain_text(FAILED, use_inner_text=True)
    card.get_by_role("button").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")
    page.unroute_all()
    page.wait_for_timeout(2000)
    expect(page.get_by_role("dialog")).to_have_count(0)  # nobody waits for it any more
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def test_in_russian_it_says_so_in_russian(server, people):
    page = people(locale="ru-RU").new_page()
    page.goto(f"{server.url}/demo/")
    page.route(WINDOW, lambda route: route.abort())
    launcher(page, "Оставить сообщение").click()
    card = page.get_by_role("dialog", name="Оставить сообщение")
    expect(card).to_contain_text("Чат не открылся. Текст сохранён, пробуем ещё.", use_inner_text=True)
    expect(card.get_by_role("button", name="Попробовать ещё раз")).to_be_visible()


def test_what_an_earlier_page_could_not_send_is_sent_without_opening_it(server, visitor):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    page.route("**/widget/api/messages", lambda route: route.abort())
    page.get_by_role("textbox", name="Message").fill("Sent by the next page")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Waiting for the network", use_inner_text=True)
    page.unroute_all()
    page.get_by_role("link", name="About the shop").click()
    expect(launcher(page, "Leave a message")).to_be_visible()
    page.wait_for_timeout(3000)
    stored = server.run(f"print(Message.objects.filter(dialog__number={number}, text='Sent by the next page').count())")
    assert stored == "1"
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_what_was_answered_is_counted_by_the_button_alone(server, visitor, asked):
    page = opened(visitor, f"{server.url}/demo/")
    number = leave_message(page)
    page.get_by_role("link", name="About the shop").click()
    expect(launcher(page, "Leave a message")).to_be_visible()
    before = len(windows(asked))
    for count, text in enumerate(("Yes, two kinds", "And a white one"), 1):
        server.run(f"""
            dialog = Dialog.objects.get(account__slug="demo", number={number})
            conversation.answer(dialog.pk, Operator.objects.get(username="anna"), {text!r}, key={text!r})
        """)
        expect(launcher(page, re.compile(rf"Leave a message\s*{count} unread"))).to_be_visible()
        expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()
    page.reload()
    expect(launcher(page, re.compile(r"Leave a message\s*2 unread"))).to_be_visible()
    assert len(windows(asked)) == before
    page.get_by_role("status").filter(has_text="And a white one").click()
    log = page.get_by_role("log")
    for text in ("Do you have green tea?", "Yes, two kinds", "And a white one", "While you were away"):
        expect(log).to_contain_text(text, use_inner_text=True)
    page.reload()
    expect(launcher(page, re.compile("^Leave a message$"))).to_be_visible()


@pytest.mark.parametrize(
    "types",
    ["", "; trusted-types webim_offline", "; trusted-types webim_offline default 'allow-duplicates'"],
    ids=["any policy", "ours by its name", "others too"],
)
def test_a_page_that_demands_trusted_types_gets_the_window(server, visitor, shop, types):
    page = strangers_page(visitor, server, shop, policy=POLICY + types)
    leave_message(page)
    assert page.problems == []


def test_a_page_that_does_not_name_our_policy_is_told_so_and_keeps_its_button(server, visitor, shop):
    page = strangers_page(visitor, server, shop, policy=f"{POLICY}; trusted-types others")
    launcher(page, "Leave a message").click()
    expect(page.get_by_role("dialog")).to_contain_text(FAILED, use_inner_text=True)
    expect(page.get_by_role("heading", name="Shop")).to_be_visible()


def test_a_policy_by_nonce_lets_the_window_in(server, visitor, shop):
    html = f"""<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1>
        <script nonce="abc123" src="{server.url}/widget/demo.js" data-department="support" data-language="en" async></script>"""
    stream = server.url.replace("http", "ws", 1)
    page = opened(visitor, shop(html, f"default-src 'none'; script-src 'nonce-abc123'; connect-src {server.url} {stream}"))
    leave_message(page)
    assert page.problems == []


@pytest.fixture(scope="module")
def recorded(server):
    """The first part as a release before this one served it, by the number of its contract. It asks for that release's window."""

    def serve(page, contract):
        text = (RECORDED / f"widget-{contract}.js").read_text()
        page.route("**/widget/demo.js", lambda route: route.fulfill(body=text, content_type="text/javascript; charset=utf-8"))

    return serve


def test_a_page_from_before_a_release_gets_a_window_that_works_with_it(server, visitor, recorded, asked):
    page = visitor.new_page()
    recorded(page, 1)
    page.goto(f"{server.url}/demo/")
    number = leave_message(page)
    server.run(f"""
        dialog = Dialog.objects.get(account__slug="demo", number={number})
        conversation.answer(dialog.pk, Operator.objects.get(username="anna"), "Hello", key="release-1")
    """)
    expect(page.get_by_role("log")).to_contain_text("Hello", use_inner_text=True)
    assert windows(asked) == ["widget/window/1-00000000.js"]


@pytest.mark.parametrize("by", ["click", "hover"])
def test_a_page_whose_contract_is_not_spoken_any_more_is_replaced(server, visitor, recorded, asked, by):
    page = visitor.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    text = (RECORDED / "widget-1.js").read_text()
    assert '"1-00000000"' in text
    body = text.replace('"1-00000000"', '"0-00000000"')
    page.route("**/widget/demo.js", lambda route: route.fulfill(body=body, content_type="text/javascript; charset=utf-8"))
    page.goto(f"{server.url}/demo/")
    button = launcher(page, "Leave a message")
    expect(button).to_be_visible()
    if by == "hover":
        button.hover()
        page.wait_for_timeout(1500)
        expect(button).to_have_count(1)
        expect(page.get_by_role("dialog")).to_have_count(0)
    button.click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    expect(page.locator("[data-webim-offline]")).to_have_count(1)
    page.get_by_role("textbox", name="Email").fill("marina@mail.example")
    page.get_by_role("textbox", name="Message").fill("Are you there?")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Delivered", use_inner_text=True)
    number = int(re.search(r"#(\d+)", page.get_by_role("dialog").inner_text()).group(1))
    dialog = f"Dialog.objects.get(account__slug='demo', number={number})"
    # the replaced one has said goodbye
    assert until(lambda: server.run(f"print({dialog}.visitor.visits.filter(ended_at=None).count())") == "1", 10)
    assert windows(asked) == ["widget/window/0-00000000.js"]
    assert problems == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_it_does_not_come(server, people, width, scheme):
    context = people(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page = opened(context, f"{server.url}/demo/")
    page.route(WINDOW, lambda route: route.abort())
    launcher(page, "Leave a message").click()
    expect(page.get_by_role("dialog")).to_contain_text(FAILED, use_inner_text=True)
    assert violations(page, "document.querySelector('[data-webim-offline]')") == []

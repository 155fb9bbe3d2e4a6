"""Long sections of the panel: a hundred cards at first, and the others when somebody comes to their end (Q4, Q5, Q12)."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import AS_MADE
from tests.browser.faces import LOOKS, SOON, card, section, violations

pytestmark = pytest.mark.browser
MANY = 230
NAME = "Offline inquiries"


@pytest.fixture(scope="module")
def numbers(server):
    """The numbers of MANY inquiries in the demo account; somebody else's dialog is in the section below them."""
    server.run(AS_MADE)
    said = server.run(f"""
        import secrets
        account = Account.objects.get(slug="demo")
        for n in range({MANY} + 1):
            visitor = Visitor.objects.create(account=account, token_digest=secrets.token_hex(8), name=f"Visitor {{n}}")
            submission = conversation.Submission(text="Where is my order?", key=secrets.token_hex(8), department="support")
            made = conversation.visitor_writes(account.pk, visitor.pk, submission).dialog
            print(made.number)
        assignment_by_hand.take(made.pk, Operator.objects.get(username="anna"), confirmed=True)
    """)
    yield [int(number) for number in said.split()]
    server.run(AS_MADE)


@pytest.fixture
def newcomer(write, server):
    """Makes somebody new write; they are gone again after the test."""
    made = []

    def come():
        made.append(write("Newest Nina"))
        return made[-1]

    yield come
    for number in made:
        server.run(f"""
            dialog = Dialog.objects.get(number={number}, account__slug="demo")
            conversation.close_by_operator(dialog.pk, Operator.objects.get(username="vera"))
        """)


def items(page):
    return section(page, NAME).get_by_role("listitem")


def test_a_long_section_is_shown_as_far_as_somebody_goes(sign_in, numbers, newcomer):
    vera = sign_in("vera")
    expect(items(vera)).to_have_count(100)
    expect(section(vera, NAME).locator(".count")).to_have_text(str(MANY))
    expect(items(vera).last).to_have_attribute("aria-setsize", str(MANY))
    expect(items(vera).last).to_have_attribute("aria-posinset", "100")
    assert violations(vera) == []

    # by scrolling: the next hundred come before their place is in sight
    items(vera).nth(97).scroll_into_view_if_needed()
    expect(items(vera)).to_have_count(200)
    expect(items(vera).nth(100)).to_have_attribute("id", f"card-{numbers[100]}")
    items(vera).nth(199).scroll_into_view_if_needed()
    expect(items(vera)).to_have_count(MANY)
    assert items(vera).last.get_attribute("aria-setsize") is None
    expect(vera.get_by_role("button", name=re.compile("^Show"))).to_have_count(0)

    # what was shown stays shown when something changes
    newest = newcomer()
    expect(card(vera, newest, NAME)).to_be_visible()
    expect(items(vera)).to_have_count(MANY + 1)
    assert vera.problems == []


def test_keys_go_on_beyond_a_window(sign_in, numbers):
    vera = sign_in("vera")
    card(vera, numbers[99]).focus()  # scrolls there, too: more may be on its way
    vera.keyboard.press("j")
    expect(card(vera, numbers[100])).to_be_focused()
    vera.keyboard.press("k")
    expect(card(vera, numbers[99])).to_be_focused()

    vera.reload()
    vera.locator("#section-others .card").focus()
    vera.keyboard.press("ArrowUp")
    expect(card(vera, numbers[MANY - 1], NAME)).to_be_focused()
    expect(items(vera)).to_have_count(MANY)

    vera.reload()
    card(vera, numbers[0]).focus()
    vera.keyboard.press("End")
    expect(card(vera, numbers[MANY], "Other operators")).to_be_focused()
    vera.keyboard.press("Home")
    expect(card(vera, numbers[0])).to_be_focused()
    assert vera.problems == []


def test_what_comes_beyond_the_window_rings_and_counts(sign_in, numbers, newcomer):
    vera = sign_in("vera")
    expect(vera).to_have_title("Workspace")
    newcomer()
    expect(vera).to_have_title("(1) Workspace")
    expect(section(vera, NAME).locator(".count")).to_have_text(str(MANY + 1))
    expect(items(vera)).to_have_count(100)


def test_an_open_dialog_beyond_the_window_has_its_card(sign_in, numbers):
    vera = sign_in("vera")
    vera.goto(f"{vera.url}{numbers[150]}/")
    expect(items(vera)).to_have_count(200)
    expect(card(vera, numbers[150])).to_have_attribute("aria-current", "true")


def test_a_page_is_not_read_again_when_its_stream_opens(sign_in, numbers, newcomer):
    vera = sign_in("vera")
    vera.wait_for_timeout(4000)  # what has just happened is read again, for it may have come while the page was on its way
    asked, heard = [], []
    vera.on("request", lambda request: asked.append(request.url))
    vera.on("websocket", lambda stream: stream.on("framereceived", lambda frame: heard.append(frame)))
    vera.reload()
    for _ in range(SOON // 100):
        if heard:
            break
        vera.wait_for_timeout(100)
    assert heard
    vera.wait_for_timeout(2000)
    assert not [url for url in asked if "/panel/" in url or "/fragment/" in url]
    newcomer()
    expect(section(vera, NAME).locator(".count")).to_have_text(str(MANY + 1))
    assert [url for url in asked if "/panel/" in url]


@LOOKS
def test_the_button_that_shows_more(sign_in, numbers, locale, width, scheme):
    vera = sign_in("vera", locale=locale, viewport={"width": width, "height": 900}, color_scheme=scheme)
    vera.route("**/workspace/panel/**", lambda route: route.abort())  # scrolling alone brings nothing now
    button = vera.locator("#section-offline .section-on")
    button.scroll_into_view_if_needed()
    expect(button).to_have_text("Показать ещё 100" if locale == "ru-RU" else "Show 100 more")
    assert violations(vera) == []
    vera.unroute("**/workspace/panel/**")
    button.click()
    expect(vera.locator("#section-offline .card-list > li")).to_have_count(200)


def test_the_end_of_the_last_section_is_shown_with_a_key(sign_in, numbers, server):
    server.run("""
        taken = Dialog.objects.get(operator__username="anna", state__in=OPEN_STATES)
        conversation.close_by_operator(taken.pk, Operator.objects.get(username="vera"))
    """)
    vera = sign_in("vera")
    card(vera, numbers[0]).focus()
    vera.keyboard.press("End")
    expect(card(vera, numbers[MANY - 1])).to_be_focused()
    expect(items(vera)).to_have_count(MANY)

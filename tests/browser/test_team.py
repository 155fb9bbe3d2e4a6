"""The page of operators in a real browser: live, kind to the hand, and a status that its owner hears of (Q3, A1, A2)."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.faces import LOOKS, violations

pytestmark = pytest.mark.browser


@pytest.fixture
def team(sign_in, server):
    """Vera, on the page of operators."""

    def team(**options):
        vera = sign_in("vera", **options)
        vera.goto(f"{server.url}/workspace/team/")
        return vera

    return team


def row(page, name):
    return page.get_by_role("row", name=re.compile(f"^{name}"))


def test_a_status_set_by_a_supervisor_is_shown_to_whose_it_is(sign_in, team):
    anna = sign_in("anna")
    vera = team()
    row(vera, "Anna").get_by_label("Status of Anna").select_option("Break: lunch")
    expect(anna.get_by_label("Status", exact=True)).to_have_value("lunch")
    expect(anna.locator(".toast")).to_have_text("Vera Lebedeva set your status to Break: lunch")
    expect(vera.locator(".toast")).to_have_text("Anna Orlova: the status is Break: lunch now")
    expect(row(vera, "Anna")).to_contain_text("Break: lunch")
    expect(row(vera, "Anna").locator(".presence")).to_have_class(re.compile("presence--break"))
    assert (anna.problems, vera.problems) == ([], [])


def test_a_status_chosen_in_one_tab_stands_in_the_other(sign_in):
    first = sign_in("anna")
    second = first.context.new_page()
    second.goto(first.url)
    expect(second.locator(".toast")).to_have_count(0)
    first.get_by_label("Status", exact=True).select_option("Break: meeting")
    expect(second.get_by_label("Status", exact=True)).to_have_value("meeting")
    first.get_by_label("Status", exact=True).select_option("Online")
    expect(second.get_by_label("Status", exact=True)).to_have_value("online")
    second.wait_for_timeout(500)
    expect(second.locator(".toast")).to_have_count(0)


def test_by_keyboard_only_the_last_of_the_statuses_passed_over_is_set(team, server):
    vera = team()
    server.run("set_status(Operator.objects.get(username='boris'), 'online')")
    select = row(vera, "Boris").get_by_label("Status of Boris")
    expect(select).to_have_value("online")
    before = int(server.run("print(OperatorChange.objects.latest('pk').pk)"))
    select.focus()
    for _ in range(3):
        vera.keyboard.press("ArrowDown")
    expect(vera.locator(".toast")).to_have_text("Boris Petrov: the status is Break: personal now")
    rows = f"OperatorChange.objects.filter(pk__gt={before}, operator__username='boris', reason='chosen')"
    assert server.run(f"print(list({rows}.values_list('status', flat=True)))") == "['personal']"
    expect(select).to_be_focused()


def test_the_figures_follow_and_the_row_under_the_hand_stays_the_same_node(sign_in, team, write, server):
    sign_in("anna")
    vera = team()
    node = row(vera, "Anna").element_handle()
    node.evaluate("row => { row.mark = 1 }")
    held = int(server.run("print(Dialog.objects.filter(operator__username='anna', state__in=['queue', 'chatting']).count())"))
    number = write("Team Tina")
    server.run(f"assignment_by_hand.take(Dialog.objects.get(number={number}).pk, Operator.objects.get(username='anna'))")
    figures = """row => Array.from(row.children).filter((cell) => /dialogs/.test(cell.dataset.label))
        .reduce((sum, cell) => sum + parseInt(cell.textContent), 0)"""
    until = time.monotonic() + 6
    while node.evaluate(figures) != held + 1 and time.monotonic() < until:
        vera.wait_for_timeout(100)
    assert node.evaluate(figures) == held + 1
    assert node.evaluate("row => [row.mark, row.isConnected]") == [1, True]
    expect(row(vera, "Anna").get_by_role("cell").last).to_have_text(re.compile(r"\d"))
    row(vera, "Anna").get_by_role("link").click()
    expect(vera.get_by_role("link", name=re.compile(f"#{number}"))).to_be_visible()


def test_without_the_server_the_page_says_since_when_and_recovers(team):
    vera = team()
    vera.context.set_offline(True)
    vera.evaluate("window.dispatchEvent(new Event('online'))")
    expect(vera.get_by_text("No connection. The figures are those of")).to_be_visible(timeout=20_000)
    vera.context.set_offline(False)
    expect(vera.get_by_text("No connection.")).to_be_hidden(timeout=30_000)


def test_a_supervisor_finds_the_page_in_the_menu(sign_in):
    vera = sign_in("vera")
    vera.locator(".menu > summary").click()
    vera.get_by_role("link", name="Operators").click()
    expect(vera.get_by_role("heading", name="Operators")).to_be_visible()


@LOOKS
def test_axe_finds_nothing(team, server, scheme, width, locale):
    vera = team(viewport={"width": width, "height": 844}, color_scheme=scheme, locale=locale, bypass_csp=True)
    for address, opened in ((vera.url, ""), (f"{server.url}/workspace/", ".menu > summary")):
        vera.goto(address)
        if opened:
            vera.locator(opened).click()
        assert violations(vera) == []
        assert vera.evaluate("document.documentElement.scrollWidth <= innerWidth")

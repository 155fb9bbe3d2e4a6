"""Rings in a real browser: once for what comes, whatever the number of tabs, and never for what was there (Q12)."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.faces import SOON, card, cut

pytestmark = pytest.mark.browser
# every tone and every desktop notification of all pages of a browser, by the pages' own words
LISTEN = """(() => {
    window.tones = []; window.told = [];
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...args) {
        window.tones.push(this.frequency.value);
        return start.apply(this, args);
    };
    class Told {
        static permission = 'granted';
        static requestPermission() { return Promise.resolve('granted'); }
        constructor(title, options) { window.told.push(title); this.options = options; }
        close() {}
    }
    window.Notification = Told;
})()"""
HIDE = """() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
}"""
RING, SOFT = [659, 880], [523]


@pytest.fixture
def sign_in_listening(sign_in, server):
    """Signs in; the pages tell what they rang for."""

    def sign_in_listening(login):
        page = sign_in(login)
        page.context.add_init_script(LISTEN)
        server.run(f"Operator.objects.filter(username={login!r}).update(rings_for_queues=True, rings_on_desktop=True)")
        page.reload()
        return page

    return sign_in_listening


def tones(*pages):
    return [tone for page in pages for tone in page.evaluate("window.tones.map(Math.round)")]


def told(*pages):
    return [title for page in pages for title in page.evaluate("window.told")]


FORGET = """() => {
    for (const name of Object.keys(localStorage).filter((name) => name.startsWith('rings-'))) {
        localStorage.setItem(name, JSON.stringify({...JSON.parse(localStorage.getItem(name)), sound: 0}));
    }
    window.tones = [];
    window.told = [];
}"""


def quiet(*pages):
    """As if the last sound were more than five seconds ago; what has rung so far is forgotten."""
    for page in pages:
        page.evaluate(FORGET)


def heard(*pages):
    """Waits for the first tone in any of them."""
    for _ in range(SOON // 100):
        if tones(*pages):
            return
        pages[0].wait_for_timeout(100)
    pytest.fail("nothing rang")


def test_a_new_card_rings_once_in_two_tabs_counts_in_the_title_and_a_reload_rings_nothing(sign_in_listening, write):
    first = sign_in_listening("anna")
    second = first.context.new_page()
    second.goto(first.url)
    before = int((re.match(r"\((\d+)\)", first.title()) or ["", "0"])[1])
    number = write("Ringing Rita")
    for page in (first, second):
        expect(card(page, number)).to_be_visible()
    expect(first).to_have_title(f"({before + 1}) Workspace")
    first.wait_for_timeout(1500)
    assert tones(first, second) == RING
    assert told(first, second) == [f"New dialog: #{number} Ringing Rita"]
    assert "circle" in first.locator("link[rel=icon]").get_attribute("href")
    first.wait_for_timeout(5000)
    for page in (first, second):
        page.reload()
        expect(card(page, number)).to_be_visible()
    first.wait_for_timeout(2500)
    assert tones(first, second) == []
    assert told(first, second) == []
    assert first.problems == []


def test_somebody_at_the_page_has_looked_at_what_came(sign_in_listening, write):
    anna = sign_in_listening("anna")
    before = anna.title()
    number = write("Looked-at Luke")
    expect(card(anna, number)).to_be_visible()
    assert anna.title() != before
    anna.wait_for_timeout(1100)
    anna.mouse.move(700, 500)
    expect(anna).to_have_title(before)


def test_two_cards_at_once_make_one_sound_in_five_seconds(sign_in_listening, write):
    anna = sign_in_listening("anna")
    for name in ("Quick Quentin", "Quick Quirin", "Quick Quest"):
        number = write(name)
        expect(card(anna, number)).to_be_visible()
    anna.wait_for_timeout(1000)
    assert tones(anna) == RING


def test_a_card_that_came_while_the_connection_was_cut_rings_once_after_it(sign_in_listening, write):
    first = sign_in_listening("anna")
    second = first.context.new_page()
    second.goto(first.url)
    cut(first)
    number = write("Cut Carl")
    first.wait_for_timeout(2500)
    assert tones(first, second) == []
    first.context.set_offline(False)
    for page in (first, second):
        expect(card(page, number)).to_be_visible(timeout=40_000)
    first.wait_for_timeout(3000)
    assert tones(first, second) == RING
    assert len(told(first, second)) == 1


def test_a_reconnection_without_news_rings_nothing(sign_in_listening, write):
    number = write("Old Olga")
    anna = sign_in_listening("anna")
    cut(anna)
    anna.context.set_offline(False)
    expect(anna.get_by_text("No connection.")).to_be_hidden(timeout=40_000)
    expect(card(anna, number)).to_be_visible()
    anna.wait_for_timeout(2000)
    assert (tones(anna), told(anna)) == ([], [])


def test_what_one_did_oneself_rings_in_no_tab_and_what_another_did_rings(sign_in_listening, write, server):
    number = write("Boomerang Bob")
    first = sign_in_listening("anna")
    second = first.context.new_page()
    second.goto(first.url)
    card(first, number).click()
    first.get_by_role("button", name="Take", exact=True).click()
    expect(second.locator(f"#section-mine #card-{number}")).to_be_visible()
    first.get_by_role("button", name="Undo").click()
    for page in (first, second):
        expect(page.locator(f"#section-general #card-{number}, #section-offline #card-{number}")).to_be_visible()
    first.wait_for_timeout(1500)
    assert (tones(first, second), told(first, second)) == ([], [])
    server.run(f"""
        dialog = Dialog.objects.get(number={number}, account__slug="demo")
        vera, anna = (Operator.objects.get(username=name) for name in ("vera", "anna"))
        assignment_by_hand.transfer_to_operator(dialog.pk, vera, anna.pk, confirmed=True)
    """)
    for page in (first, second):
        expect(page.locator(f"#section-waiting #card-{number}")).to_be_visible()
    first.wait_for_timeout(1500)
    assert tones(first, second) == RING
    assert told(first, second) == [f"Assigned to you: #{number} Boomerang Bob"]


def test_a_message_in_ones_own_dialog_sounds_softly_while_no_tab_is_in_sight(sign_in_listening, write, server):
    first = sign_in_listening("anna")
    second = first.context.new_page()
    second.goto(first.url)
    number = write("Softly Sven")
    card(first, number).click()
    first.get_by_role("button", name="Take", exact=True).click()
    expect(second.locator(f"#section-mine #card-{number}")).to_be_visible()
    quiet(first, second)

    def again(text):
        server.run(f"""
            dialog = Dialog.objects.get(number={number}, account__slug="demo")
            again = conversation.Submission(text={text!r}, key={text!r} + "-{number}")
            conversation.visitor_writes(dialog.account_id, dialog.visitor_id, again)
        """)
        for page in (first, second):
            expect(card(page, number)).to_contain_text(text)
        first.wait_for_timeout(1500)

    first.evaluate(HIDE)
    again("one tab is in sight")
    assert tones(first, second) == []
    second.evaluate(HIDE)
    again("none is in sight")
    assert tones(first, second) == SOFT
    assert told(first, second) == [f"New message: #{number} Softly Sven"]


def test_switches_are_obeyed_at_once_in_all_tabs_and_in_another_browser(sign_in_listening, write, sign_in):
    first = sign_in_listening("anna")
    second = first.context.new_page()
    second.goto(first.url)
    first.locator(".menu > summary").click()
    with first.expect_response("**/workspace/rings/"):
        first.get_by_label("New dialogs in the queues").uncheck(force=True)
    with first.expect_response("**/workspace/rings/"):
        first.get_by_label("Desktop notifications").uncheck(force=True)
    expect(second.locator("[name=rings_for_queues]")).not_to_be_checked()
    number = write("Silent Sam")
    for page in (first, second):
        expect(card(page, number)).to_be_visible()
    first.wait_for_timeout(1500)
    assert (tones(first, second), told(first, second)) == ([], [])
    elsewhere = sign_in("anna")
    expect(elsewhere.locator("[name=rings_for_queues]")).not_to_be_checked()
    expect(elsewhere.locator("[name=rings_for_assigned]")).to_be_checked()


def test_permission_is_asked_for_by_a_press_alone(sign_in_listening):
    anna = sign_in_listening("anna")
    anna.context.add_init_script("""(() => {
        window.asked = 0;
        class Asked {
            static permission = 'default';
            static requestPermission() { window.asked += 1; return Promise.resolve('default'); }
        }
        window.Notification = Asked;
    })()""")
    anna.reload()
    anna.wait_for_timeout(500)
    assert anna.evaluate("window.asked") == 0
    anna.locator(".menu > summary").click()
    anna.get_by_role("button", name="Allow them in this browser").click()
    assert anna.evaluate("window.asked") == 1


def test_the_pages_beside_the_workspace_ring_as_one_more_tab_and_count_what_waits_there(sign_in_listening, write, server):
    vera = sign_in_listening("vera")
    archive, team = vera.context.new_page(), vera.context.new_page()
    pages = [vera, archive, team]
    for page, address in ((archive, "archive/"), (team, "team/")):
        with page.expect_response("**/workspace/panel/**"):  # what is there now is no news
            page.goto(f"{vera.url}{address}")
    waits = int((re.match(r"\((\d+)\)", vera.title()) or ["", "0"])[1])
    titles = re.sub(r"^\(\d+\) ", "", archive.title()), re.sub(r"^\(\d+\) ", "", team.title())
    assert titles == ("Archive", "Operators")
    number = write("Archived Archie")
    for page, name in zip((archive, team), titles, strict=True):
        expect(page).to_have_title(f"({waits + 1}) {name}")
        expect(page.get_by_role("link", name=f"Workspace {waits + 1}")).to_be_visible()
    expect(card(vera, number)).to_be_visible()
    vera.wait_for_timeout(1000)
    assert tones(*pages) == RING
    assert told(*pages) == [f"New dialog: #{number} Archived Archie"]
    vera.mouse.move(700, 500)  # who looks at the list has looked, for all tabs
    for page, name in zip((archive, team), titles, strict=True):
        expect(page).to_have_title(f"({waits}) {name}" if waits else name)

    # without the workspace, too; nobody has looked at a list that is not there; and its own act is no news
    vera.close()
    archive.keyboard.press("ArrowDown")  # the browser lets a page sound where somebody has pressed something
    quiet(archive, team)
    server.run(f"assignment_by_hand.take(Dialog.objects.get(number={number}).pk, Operator.objects.get(username='anna'))")
    other = write("Second Sibyl")
    expect(archive).to_have_title(f"({waits + 1}) Archive")
    expect(team).to_have_title(f"({waits + 1}) Operators")
    heard(archive, team)
    archive.mouse.move(300, 300)
    archive.wait_for_timeout(1000)
    assert tones(archive, team) == RING
    assert told(archive, team) == [f"New dialog: #{other} Second Sibyl"]
    expect(archive).to_have_title(f"({waits + 1}) Archive")

    # one's own dialog sounds softly: the page that would show its message is not in sight
    server.run(f"assignment_by_hand.take(Dialog.objects.get(number={other}).pk, Operator.objects.get(username='vera'))")
    expect(archive).to_have_title(f"({waits}) Archive" if waits else "Archive")
    quiet(archive, team)
    server.run(f"""
        dialog = Dialog.objects.get(number={other}, account__slug="demo")
        conversation.visitor_writes(dialog.account_id, dialog.visitor_id, conversation.Submission(text="And?", key="and-{other}"))
    """)
    heard(archive, team)
    assert tones(archive, team) == SOFT
    assert told(archive, team) == [f"New message: #{other} Second Sibyl"]

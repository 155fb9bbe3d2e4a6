"""Why is it here? on a dialog's page: live, by keyboard, in the account's time, and for everybody (B3)."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.faces import LOOKS, violations

pytestmark = pytest.mark.browser


@pytest.fixture
def happen(server):
    """So many more events of a kind, each a line of its own, and a hint that something happened."""

    def happen(number, count, kind="picked_up", **data):
        server.run(f"""
            from dialogs.actions.record import Record
            from dialogs.events import read_strictly
            dialog = Dialog.objects.get(number={number}, account__slug="demo")
            record = Record(database_now())
            for _ in range({count}):
                event = read_strictly({kind!r}, {data!r})
                record.event(dialog, event, record.now, actor=Operator.objects.get(username="boris"))
            record.write([dialog])
        """)

    return happen


def why(page):
    return page.locator("#why")


def test_it_follows_the_dialog_and_keeps_what_is_unfolded(sign_in, write, server, happen):
    number = write("Curious Clara")
    anna = sign_in("anna")
    anna.goto(f"{server.url}/workspace/{number}/")
    expect(why(anna).get_by_role("listitem").first).to_contain_text("Started offline")
    expect(why(anna).get_by_role("listitem").last).to_have_text(re.compile("Now It waits in Offline inquiries"))
    happen(number, 8)
    more = why(anna).get_by_text("3 more steps")
    expect(more).to_be_visible()
    folded = why(anna).locator("details li")
    expect(folded.first).to_be_hidden()
    more.focus()
    anna.keyboard.press("Enter")
    expect(folded).to_have_count(3)
    expect(folded.first).to_be_visible()
    node = why(anna).element_handle()
    server.run(f"""
        dialog = Dialog.objects.get(number={number}, account__slug="demo")
        conversation.answer(dialog.pk, Operator.objects.get(username="vera"), "On its way", key="answer-{number}")
        thanks = conversation.Submission(text="Thanks", key="thanks-{number}")
        conversation.visitor_writes(dialog.account_id, dialog.visitor_id, thanks)
    """)
    expect(why(anna).get_by_role("listitem").last).to_have_text(re.compile("Now Vera .* has this dialog"))
    expect(folded.first).to_be_visible()
    happen(number, 1, "delivery", key="1", recipient="left@demo.example", status="accepted", after=38)
    accepted = why(anna).get_by_text("The mail server accepted the letter after 38 seconds: left@demo.example.")
    expect(accepted).to_be_visible()
    expect(folded.first).to_be_visible()
    assert node.evaluate("block => block.isConnected"), "the column is not built anew: it would jump to its top"
    assert anna.problems == []


def test_the_focus_stays_in_it_through_a_live_update(sign_in, write, server, happen):
    number = write("Focused Fritz")
    happen(number, 8)
    anna = sign_in("anna")
    anna.goto(f"{server.url}/workspace/{number}/")
    more = why(anna).locator("summary")
    more.focus()
    happen(number, 1)
    expect(more).to_have_text("4 more steps")
    expect(more).to_be_focused()


def test_a_long_life_has_pages(sign_in, write, server, happen):
    number = write("Long-lived Lara")
    happen(number, 250)
    anna = sign_in("anna")
    anna.goto(f"{server.url}/workspace/{number}/")
    why(anna).get_by_role("link", name="Earlier steps").click()
    expect(anna).to_have_url(re.compile(rf"/workspace/{number}/history/\?before=\d+$"))
    expect(anna.get_by_text("Boris Petrov took the dialog.")).to_have_count(50)
    anna.get_by_role("link", name="Latest steps").click()
    expect(anna.get_by_text("Boris Petrov took the dialog.")).to_have_count(200)
    anna.get_by_role("link", name="Back to the dialog").click()
    expect(anna).to_have_url(re.compile(f"/workspace/{number}/$"))


def test_moments_are_the_accounts_wherever_the_operator_is(sign_in, write, server):
    number = write("Far-away Freya")
    server.run(f"""
        from datetime import datetime, UTC
        Account.objects.filter(slug="demo").update(time_zone="Asia/Yekaterinburg")
        at = datetime(2026, 1, 21, 20, 30, tzinfo=UTC)
        Dialog.objects.filter(number={number}, account__slug="demo").update(created_at=at)
    """)
    try:
        anna = sign_in("anna", timezone_id="America/New_York")
        anna.goto(f"{server.url}/workspace/{number}/")
        expect(why(anna).locator("time").first).to_have_text(re.compile("^Jan 22, 0?1:30"))
    finally:
        server.run('Account.objects.filter(slug="demo").update(time_zone="UTC")')


@LOOKS
def test_axe_finds_nothing(sign_in, write, server, happen, scheme, width, locale):
    number = write("Светлана Константинопольская" * 2)
    happen(number, 9, "delivery", key="1", recipient="left" * 40 + "@demo.example", status="refused", after=3, detail="550 " * 90)
    happen(number, 210)
    key = server.run(f'print(Dialog.objects.get(number={number}, account__slug="demo").pk)')
    vera = sign_in("vera", viewport={"width": width, "height": 844}, color_scheme=scheme, locale=locale, bypass_csp=True)
    for address, part in (
        (f"/workspace/{number}/", "document"),
        (f"/workspace/{number}/history/", "document"),
        (f"/admin/dialogs/dialog/{key}/change/", "document.querySelector('.why')"),
    ):
        vera.goto(server.url + address)
        if width < 1181 and vera.locator("#side-open").count():
            vera.locator("#side-open").click()
        for summary in vera.locator("#why summary, .why summary").all():
            summary.click()
        assert violations(vera, part) == []
        assert vera.evaluate("document.documentElement.scrollWidth <= innerWidth") or "/admin/" in address

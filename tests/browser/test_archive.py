"""The archive by keyboard, from the search to a dialog and back, in both languages (Q13)."""

import re
import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.faces import LOOKS, violations

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def word(server):
    """A word of no other test: in forty closed dialogs of support, and in an open one, the newest."""
    word = f"samovar{secrets.token_hex(3)}"
    server.run(f"""
        import secrets
        account = Account.objects.get(slug="demo")
        anna = Operator.objects.get(username="anna")
        for n in range(41):
            visitor = Visitor.objects.create(account=account, token_digest=secrets.token_hex(8), name="Archive Ada")
            text = "The {word} leaks. Можно вернуть чайники? " + "Please answer soon. " * 20
            submission = conversation.Submission(text=text, key=secrets.token_hex(8), department="support", language="en")
            dialog = conversation.visitor_writes(account.pk, visitor.pk, submission).dialog
            if n < 40:
                assignment_by_hand.take(dialog.pk, anna)
                conversation.close_by_operator(dialog.pk, anna)
    """)
    return word


def hit_numbers(page):
    return [int(found) for found in re.findall(r'id="hit-(\d+)"', page.content())]


def test_from_the_workspace_to_a_dialog_and_back_without_a_mouse(sign_in, word):
    anna = sign_in("anna")
    anna.keyboard.press("/")
    anna.wait_for_url("**/workspace/archive/")
    search = anna.get_by_role("searchbox", name="Search")
    expect(search).to_be_focused()
    anna.keyboard.type(word)
    anna.keyboard.press("Enter")
    anna.wait_for_url(f"**/workspace/archive/?q={word}*")
    numbers = hit_numbers(anna)
    assert len(numbers) == 30
    hits = anna.locator(".hit")
    for _ in range(20):
        anna.keyboard.press("j")
    anna.keyboard.press("k")
    expect(hits.nth(18)).to_be_focused()
    before = anna.evaluate("scrollY")
    assert before > 0
    anna.keyboard.press("Enter")
    anna.wait_for_url(f"**/workspace/{numbers[18]}/")
    expect(anna.get_by_role("log")).to_contain_text(word)
    expect(anna.get_by_role("textbox", name="Reply")).to_have_count(0)  # closed dialogs are for reading
    anna.keyboard.press("Escape")
    anna.wait_for_url(f"**/workspace/archive/?q={word}*")
    expect(hits.nth(18)).to_be_focused()
    expect(hits.nth(18)).to_be_in_viewport()
    assert abs(anna.evaluate("scrollY") - before) < 200
    anna.keyboard.press("/")
    expect(search).to_be_focused()
    assert anna.evaluate("document.querySelector('#q').selectionEnd") == len(word)
    anna.keyboard.press("ArrowDown")
    expect(hits.first).to_be_focused()
    anna.keyboard.press("End")
    expect(hits.nth(29)).to_be_focused()
    anna.get_by_role("link", name="Older dialogs").press("Enter")
    anna.wait_for_url("**before=*")
    assert len(hit_numbers(anna)) == 11
    assert anna.problems == []


def test_keys_are_by_place_and_can_be_switched_off(sign_in, word):
    anna = sign_in("anna", locale="ru-RU")
    anna.get_by_role("link", name="Архив", exact=True).click()
    anna.goto(f"{anna.url}?q={word}")
    anna.keyboard.press("KeyJ")
    expect(anna.locator(".hit").first).to_be_focused()
    anna.evaluate("localStorage.setItem('single-keys', 'off')")
    anna.keyboard.press("KeyJ")
    anna.keyboard.press("Slash")
    expect(anna.locator(".hit").first).to_be_focused()
    anna.keyboard.press("ArrowDown")
    expect(anna.locator(".hit").nth(1)).to_be_focused()
    anna.evaluate("localStorage.removeItem('single-keys')")


def test_escape_in_a_dialog_leads_back_only_to_where_one_came_from(sign_in, write, word):
    anna = sign_in("anna")
    number = write("Nora Newest")
    anna.goto(f"{anna.url}{number}/")
    anna.keyboard.press("Escape")
    anna.wait_for_timeout(300)
    assert anna.url.endswith(f"/workspace/{number}/")


@pytest.mark.parametrize("streams", [True, False])
def test_who_searches_is_at_work(sign_in, server, streams):
    anna = sign_in("anna", service_workers="block")
    if not streams:
        anna.context.add_init_script("delete window.WebSocket")
    anna.get_by_role("link", name="Archive", exact=True).click()
    anna.wait_for_url("**/workspace/archive/")
    anna.wait_for_timeout(7000)  # what the workspace itself has said is written by now
    server.run("""
        from datetime import timedelta
        Operator.objects.filter(username="anna").update(last_seen_at=database_now() - timedelta(seconds=50))
    """)
    for _ in range(60):
        anna.wait_for_timeout(500)
        age = server.run("print((database_now() - Operator.objects.get(username='anna').last_seen_at).total_seconds())")
        if float(age) < 40:
            break
    else:
        pytest.fail(f"no sign of life for {age} s")


@LOOKS
def test_axe_finds_nothing(sign_in, word, locale, width, scheme):
    options = {"locale": locale, "viewport": {"width": width, "height": 844}, "color_scheme": scheme, "bypass_csp": True}
    vera = sign_in("vera", **options)
    base = vera.url
    newest = 0
    for query in (f"?q={word}", "?q=the", "?q=nothing-of-it&visitor_of=1", "?since=x&department=99&before=x", ""):
        vera.goto(f"{base}archive/{query}")
        newest = newest or hit_numbers(vera)[0]
        vera.wait_for_timeout(200)  # transitions
        assert violations(vera) == []
        assert vera.evaluate("document.documentElement.scrollWidth <= innerWidth")
    vera.goto(f"{base}{newest}/")
    assert violations(vera) == []

"""Every state of the pages of operators, looked at by axe-core with all its rules."""

import pytest
from playwright.sync_api import expect

from tests.browser.faces import cut, violations

pytestmark = pytest.mark.browser


@pytest.fixture
def filled(quiet, write, server):
    """Each section of Vera's panel with a dialog, and a closed one: their numbers."""
    names = ("waiting", "mine", "general", "offline", "others", "closed")
    numbers = {name: write(f"Светлана Константинопольская {name}") for name in names}
    server.run(f"""
        def find(name):
            return Dialog.objects.get(number={numbers}[name], account__slug="demo")
        vera, anna = (Operator.objects.get(username=name) for name in ("vera", "anna"))
        Operator.objects.filter(pk=vera.pk).update(max_online_dialogs=1, max_offline_dialogs=1)
        for name, who in (("waiting", anna), ("mine", vera), ("others", anna), ("closed", vera)):
            assignment_by_hand.take(find(name).pk, who, confirmed=True)
        assignment_by_hand.transfer_to_operator(find("waiting").pk, anna, vera.pk, confirmed=True)
        conversation.close_by_operator(find("closed").pk, vera)
        Dialog.objects.filter(pk__in=[find("general").pk, find("mine").pk]).update(is_offline=False)
        Dialog.objects.filter(pk=find("mine").pk).update(away_since=database_now())
    """)
    return numbers


@pytest.mark.parametrize(("width", "scheme", "locale"), [(1440, "light", "en-GB"), (390, "dark", "ru-RU")])
def test_axe_finds_nothing(filled, sign_in, server, width, scheme, locale):
    vera = sign_in("vera", viewport={"width": width, "height": 844}, color_scheme=scheme, locale=locale, bypass_csp=True)
    base, found = vera.url, {}

    def look(state):
        vera.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))")
        assert vera.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        if problems := violations(vera):
            found[state] = problems

    def show(name):
        vera.goto(f"{base}{filled[name]}/")
        expect(vera.locator("#dialog h1")).to_contain_text(f"#{filled[name]}")

    def confirmation(state):
        expect(vera.locator("#confirm[open]")).to_be_visible()
        look(state)
        vera.locator("#confirm [data-close]").click()
        expect(vera.locator("#confirm")).to_be_hidden()

    for name in ("waiting", "mine", "general", "offline", "others"):
        expect(vera.locator(f"#section-{name} .card")).to_have_count(1)
    look("each section filled, none open")
    vera.locator(".menu > summary").click()
    look("menu open")
    for name in ("waiting", "general", "offline", "others", "closed", "mine"):
        show(name)
        look(f"{name} open")

    vera.locator("#transfer-open").click()
    boris = vera.locator(".target", has=vera.get_by_text("Boris Petrov"))
    expect(boris).to_be_visible()
    look("transfer open")
    boris.click()
    expect(vera.locator("#confirm-text")).to_contain_text("Boris Petrov")
    confirmation("transfer warning about a language")
    vera.locator("#transfer [data-close]").click()
    show("general")
    vera.locator("#take").click()
    confirmation("limit warning")
    show("others")
    vera.locator("#take").click()
    expect(vera.locator("#confirm-text")).to_contain_text("Anna Orlova")
    confirmation("take-over confirmation")

    show("mine")
    cut(vera)
    vera.locator("#reply").fill("Ещё одно письмо")
    vera.keyboard.press("Control+Enter")
    expect(vera.locator("[data-pending] .message-foot")).not_to_be_empty()
    look("offline bar and an answer that waits")
    vera.context.set_offline(False)
    expect(vera.locator("[data-pending]")).to_have_count(0)
    look("answered")

    for query, hits in (("?current_state=offline", 3), ("?q=nothing-of-it", 0), ("?current_state=online&state=closed", 0)):
        vera.goto(f"{base}archive/{query}")
        expect(vera.locator(".hit")).to_have_count(hits)
        look(f"archive {query}")
    vera.goto(f"{base}team/")
    expect(vera.locator("#table tbody tr")).not_to_have_count(0)
    look("team")
    server.run("""
        for dialog in Dialog.objects.filter(state__in=OPEN_STATES):
            conversation.close_by_operator(dialog.pk, Operator.objects.get(username="vera"))
    """)
    vera.goto(base)
    expect(vera.locator(".card")).to_have_count(0)
    look("empty panel")
    assert found == {}

"""The workspace and the widget by role and name, as people and screen readers find them."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
# any two of language, width and scheme come together
LOOKS = pytest.mark.parametrize(
    ("locale", "width", "scheme"),
    [("en-GB", 1440, "light"), ("ru-RU", 1440, "dark"), ("ru-RU", 390, "light"), ("en-GB", 390, "dark")],
)
SOON = 15_000  # ms; two seconds by the contract (Q1), and what a loaded machine adds


def section(page, name):
    return page.get_by_role("navigation", name="Dialogs").get_by_role("region", name=name)


def card(page, number, name="Dialogs"):
    place = page.get_by_role("navigation", name=name) if name == "Dialogs" else section(page, name)
    return place.get_by_role("link", name=re.compile(f"^#{number}\\b"))


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def main(page):
    return page.get_by_role("main")


def cut(page):
    """The network is gone, after the page has heard what its stream tells at first: that would say there is one."""
    page.wait_for_timeout(2500)
    page.context.set_offline(True)
    expect(page.locator("#lost")).to_be_visible(timeout=60_000)


def violations(page, part="document"):
    """What axe-core complains about in a part of the page, with all its rules."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    found = page.evaluate(f"axe.run({part}, {{resultTypes: ['violations']}})")["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


def reply(page):
    return main(page).get_by_role("textbox", name="Reply")


def say(page, text):
    """The visitor goes on in the open window."""
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Message").fill(text)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window.get_by_role("log")).to_contain_text(text)

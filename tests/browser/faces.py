"""The workspace and the widget by role and name, as people and screen readers find them."""

import re
from pathlib import Path

from playwright.sync_api import expect

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
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


def violations(page):
    """What axe-core complains about, with all its rules."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


def reply(page):
    return main(page).get_by_role("textbox", name="Reply")


def say(page, text):
    """The visitor goes on in the open window."""
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Message").fill(text)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window.get_by_role("log")).to_contain_text(text)

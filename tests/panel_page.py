"""A page of the workspace as far as it reads the left panel: it fills in what the server leaves out, as panel_source.js does."""

import re
from collections.abc import Callable, Mapping

PAGE, PANEL = "/workspace/", "/workspace/panel/"
ITEM = re.compile(r'<li id="(card-\d+)">(.*?)</li>', re.DOTALL)
SECTION = re.compile(r'<section class="section" id="section-(\w+)".*?</section>', re.DOTALL)
SAME = re.compile(r'(id="section-(\w+)"(?:(?!</section>).)*?data-beyond=")=(")', re.DOTALL)
BEYOND = re.compile(r'data-beyond="([^"]*)"')

# asks for an address with these parameters; the HTML, and the cursor that came in the header X-Panel (empty without one)
Ask = Callable[[str, Mapping[str, object]], tuple[str, str]]


def sections(html: str) -> dict[str, str]:
    """The HTML of each section of a panel or a page, by its key."""
    return {match[1]: match[0] for match in SECTION.finditer(html)}


class PanelPage:
    """What one page shows: `shown` is the HTML of each section after the last reading, `cards` that of each card."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        page, _ = ask(PAGE, {})
        self.page = page
        self.cursor = re.search(r'data-cursor="(\w+)"', page)[1]
        self.cards = dict(ITEM.findall(page))
        self.shown = sections(page)
        self.windows: dict[str, int] = {}  # how far each section was scrolled

    def read(self, **about: object) -> list[str]:
        """Ask for what has changed; returns the ids of the cards that were sent."""
        html, self.cursor = self.ask(PANEL, {"has": self.cursor, **self.windows, **about})
        sent = []

        def card(match: re.Match) -> str:
            if match[2]:
                sent.append(match[1])
                return match[0]
            return f'<li id="{match[1]}">{self.cards[match[1]]}</li>'

        def beyond(match: re.Match) -> str:
            return match[1] + BEYOND.search(self.shown[match[2]])[1] + match[3]

        whole = SAME.sub(beyond, ITEM.sub(card, html))
        self.cards, self.shown = dict(ITEM.findall(whole)), sections(whole)
        return sent

    def fresh(self) -> dict[str, str]:
        """What a page shows that has nothing yet."""
        return sections(self.ask(PANEL, self.windows)[0])

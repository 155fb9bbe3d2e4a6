"""The left panel against a bare page of Django with a login and one query, in one process and in turns.

The time is that of the whole request in the process; `panel_*_vs_bare` are ratios of medians.
"""

import re
import statistics
import time
from collections.abc import Callable
from functools import lru_cache
from itertools import cycle

import psutil
from django.conf import settings
from django.test import Client
from django.test.utils import override_settings

from dialogs.actions import conversation
from dialogs.models import Dialog
from operators.models import Account, Operator
from tests import people

ROUNDS = 40
CARDS, SUPERVISORS_CARDS = 150, 1000
OPERATORS = 50
EVENTS = 150  # of the storm
URLS = override_settings(ROOT_URLCONF="tests.benchmarks.bare_view")
Request = Callable[[], object]


def _company(cards: int) -> tuple[Account, Operator, list[Dialog]]:
    """An account with so many open dialogs, and a supervisor, who sees all of them."""
    account = people.make_account(visible_online_dialogs=0, visible_offline_dialogs=0)
    supervisor = people.make_operator(account, online=True, role="supervisor")
    dialogs = [people.start_dialog(account, name=f"Marina {number}") for number in range(cards)]
    return account, supervisor, dialogs


def _browser(person: Operator) -> Client:
    browser = Client(headers={"host": settings.PUBLIC_HOST, "accept-encoding": "gzip"})
    browser.force_login(person)
    return browser


def _ratio(ours: Request, bare: Request, before: Request = lambda: None, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """(ratio, ours in ms, bare in ms), each round after what happens `before` it."""
    times: tuple[list[float], list[float]] = [], []
    with URLS:
        for ask in (ours, bare, ours, bare):
            ask()
        for _ in range(rounds):
            before()
            for ask, found in zip((ours, bare), times, strict=True):
                began = time.perf_counter()
                ask()
                found.append(time.perf_counter() - began)
    mine, theirs = (statistics.median(found) * 1000 for found in times)
    return mine / theirs, mine, theirs


class Page:
    """A workspace that reads only what has changed."""

    def __init__(self, browser: Client) -> None:
        self.browser = browser
        self.bytes: list[int] = []
        found = re.search(r'data-cursor="(\w+)"', _unpacked(browser.get("/workspace/", headers={"accept-encoding": "identity"})))
        self.cursor = found[1] if found else ""

    def refresh(self) -> None:
        answer = self.browser.get("/workspace/panel/", {"has": self.cursor})
        assert answer.status_code == 200
        self.cursor = answer["X-Panel"]
        self.bytes.append(len(answer.content))


def _unpacked(answer: object) -> str:
    return str(answer.content.decode())  # type: ignore[attr-defined]


@lru_cache(maxsize=2)
def measured(cards: int) -> dict[str, tuple[float, str]]:
    """The refresh after one change and the first page, each as a ratio with a note."""
    _, supervisor, dialogs = _company(cards)
    browser = _browser(supervisor)
    page = Page(browser)
    turns = cycle(dialogs)

    def bare() -> None:
        assert browser.get("/bare/").status_code == 200

    def change() -> None:
        people.write(next(turns).visitor, "Are you there?")

    def whole() -> int:
        return len(browser.get("/workspace/panel/").content)

    delta = _ratio(page.refresh, bare, change)
    size = max(page.bytes[2:])
    full = _ratio(whole, bare, change)
    first = len(browser.get("/workspace/").content)
    said = "{:.1f} ms against {:.1f} ms"
    return {
        "delta": (delta[0], f"{said.format(*delta[1:])}; {cards} cards, one changed; at most {size} bytes on the wire"),
        "full": (full[0], f"{said.format(*full[1:])}; {cards} cards; the whole page takes {first} bytes on the wire"),
    }


def measure_delta() -> tuple[float, str, str, float]:
    value, note = measured(CARDS)["delta"]
    return value, "ratio", note, 3


def measure_full() -> tuple[float, str, str, float]:
    value, note = measured(CARDS)["full"]
    return value, "ratio", note, 10


def measure_supervisor() -> tuple[float, str, str, float]:
    value, note = measured(SUPERVISORS_CARDS)["full"]
    return value, "ratio", note, 12


def measure_supervisor_delta() -> tuple[float, str, str, float]:
    value, note = measured(SUPERVISORS_CARDS)["delta"]
    return value, "ratio", note, 3


def measure_storm() -> tuple[float, str, str, float]:
    """The CPU time of one refresh, while events come as fast as 50 open workspaces read them, each once a second at most."""
    account, _, dialogs = _company(CARDS)
    staff = [people.make_operator(account, online=True) for _ in range(OPERATORS)]
    pages = [Page(_browser(person)) for person in staff]
    bare = pages[0].browser
    turns = cycle(dialogs)
    spent = {"ours": 0.0, "bare": 0.0}
    reads = 0
    process = psutil.Process()

    def cpu() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    with URLS:
        for second in range(EVENTS // 50):
            for _ in range(50):
                dialog = next(turns)
                if second % 2:
                    people.write(dialog.visitor, "Are you there?")
                else:
                    conversation.leave_contacts(dialog.visitor_id, conversation.Contacts(name=f"Marina {second}"))
            began = cpu()
            for page in pages:
                page.refresh()
                reads += 1
            spent["ours"] += cpu() - began
            began = cpu()
            for _ in pages:
                bare.get("/bare/")
            spent["bare"] += cpu() - began
    each, theirs = (spent[name] * 1000 / reads for name in ("ours", "bare"))
    note = f"{each:.1f} ms of CPU a refresh against {theirs:.1f} ms; {OPERATORS} workspaces, {CARDS} cards, 50 changes a second"
    return each / theirs, "ratio", note, 4

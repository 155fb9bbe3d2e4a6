"""Two web and two live processes behind nginx, two hundred events a second, twenty open workspaces: does everything stay true?

    python -m tests.soak 300

runs for so many seconds, prints what it saw, and exits with 1 if a workspace shows anything but what a fresh one shows, or if a
process has grown. A short run is a part of `make test-long` (tests/crash/test_soak.py).
"""

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.benchmarks.idle import tree
from tests.deployment import Deployment, deployed
from tests.panel_page import PanelPage
from tests.proxied import ProxiedTab
from tests.running import ROOT
from tests.services import free_port

PASSWORD = "correct horse battery"
OPERATORS, SUPERVISORS = 17, 3
NAMES = [f"operator{number}" for number in range(OPERATORS)] + [f"supervisor{number}" for number in range(SUPERVISORS)]
READ_EVERY = 1.0  # seconds between two readings of one workspace, as on the page
SETTLED_WITHIN = 10.0  # seconds after the last event, on a machine that is busy
MOST_GROWTH = 8.0  # MiB of one process, from the first third of the run to its end: caches are full by then
SETUP = f"""
from operators.actions.accounts import create_account
from operators.actions.parts import save_part
from operators.actions.people import create_operator
from operators.models import Account, Department, Operator
account = Account(slug="north-tea", name="North Tea", visible_online_dialogs=40, operator_lease=60)
create_account(account, language_codes=["en", "ru"], actor=None)
departments = [Department(account=account, slug=slug, name=slug.title()) for slug in ("support", "sales")]
for department in departments:
    save_part(department, actor=None)
languages = list(account.languages.all())
for number, name in enumerate({NAMES!r}):
    role = "supervisor" if name.startswith("supervisor") else "operator"
    operator = Operator(username=name, name=name.title(), role=role, account=account)
    mine = departments if number % 3 else departments[:1]
    create_operator(operator, password={PASSWORD!r}, departments=mine, languages=languages if number % 4 else languages[:1])
"""
# Ten turns a second: in each some of a crowd leave and others come back, each with hints of their own. Once a second somebody
# writes on, somebody new comes and writes, dialogs are taken, answered, transferred and closed.
EVENTS = """
import json, random, secrets, sys, threading, time, uuid
from contextlib import suppress
from django.core.exceptions import PermissionDenied
from dialogs.actions import assignment_by_hand, conversation, presence
from dialogs.actions.errors import Refused
from dialogs.models import *
from operators.models import *

CROWD, A_TURN = 160, 20
dice = random.Random(7)
account = Account.objects.get()
staff = list(Operator.objects.all())
process = uuid.uuid4()
renewed, _ = presence.renew_process(process)
visitors = [Visitor(account=account, token_digest=secrets.token_hex(32), name=f"Visitor {n}") for n in range(CROWD)]
crowd = Visitor.objects.bulk_create(visitors)

def page(visitor):
    return presence.Arrival(visitor.pk, account.pk, "page", "https://shop.example/", "Shop")

def write(visitor, text):
    route = {"department": dice.choice(["support", "sales"]), "language": dice.choice(["en", "ru"])}
    submission = conversation.Submission(text=text, key=secrets.token_hex(8), **route)
    with suppress(Refused):
        conversation.visitor_writes(account.pk, visitor.pk, submission)

presence.visits_began([page(visitor) for visitor in crowd], process_id=process)
for visitor in crowd:
    write(visitor, "Is there any tea left?")
print("ready", flush=True)
ended = threading.Event()
threading.Thread(target=lambda: [sys.stdin.readline(), ended.set()], daemon=True).start()
here, away, events, began, turn = list(crowd), [], 0, time.monotonic(), 0
while not ended.is_set():
    turn += 1
    dice.shuffle(here)
    leaving, here = here[:A_TURN // 2], here[A_TURN // 2:]
    coming, away = away[:A_TURN // 2], away[A_TURN // 2:] + leaving
    presence.visits_ended([presence.Departure(visitor.pk, "page", 0.0) for visitor in leaving], process_id=process)
    presence.visits_began([page(visitor) for visitor in coming], process_id=process)
    here += coming
    events += len(leaving) + len(coming)
    if turn % 10 == 0:
        renewed, _ = presence.renew_process(process, renewed)
        for visitor in dice.sample(crowd, 3):
            write(visitor, f"word {turn}")
        for dialog in Dialog.objects.filter(state__in=OPEN_STATES).order_by("?").select_related("operator")[:6]:
            person = dice.choice(staff)
            with suppress(Refused, PermissionDenied):
                if dialog.operator is None:
                    assignment_by_hand.take(dialog.pk, person, confirmed=True)
                elif dice.random() < 0.4:
                    conversation.answer(dialog.pk, dialog.operator, f"answer {turn}", key=secrets.token_hex(8))
                elif dice.random() < 0.5:
                    assignment_by_hand.transfer_to_operator(dialog.pk, dialog.operator, person.pk, confirmed=True)
                else:
                    conversation.close_by_operator(dialog.pk, dialog.operator)
        events += 9
    ended.wait(max(0, began + turn * 0.1 - time.monotonic()))
seconds = time.monotonic() - began
print(json.dumps({"events": events / seconds, "turns late": began + turn * 0.1 < time.monotonic() - 1}), flush=True)
"""


class OpenWorkspace(ProxiedTab):
    """A workspace that reads the panel after a hint, once a second at most, and has no slow round that would heal a lost one."""

    def __init__(self, place: Deployment, login: str, address: str) -> None:
        self.due = threading.Event()
        self.panel: PanelPage | None = None
        self.readings, self.sent = 0, 0
        self.failures: list[str] = []
        super().__init__(place, login, PASSWORD, address)
        self.read_at = time.monotonic()
        self.panel = PanelPage(self._answer)
        threading.Thread(target=self._read, daemon=True).start()

    def _answer(self, address: str, about: object) -> tuple[str, str]:
        answer = self.http.get(address, params=about)
        answer.raise_for_status()
        return answer.text, answer.headers.get("X-Panel", "")

    def hello(self) -> dict:
        """A stream that opens before the page was read has nothing to go by; as on the page, an age tells what was read."""
        if self.since or self.panel is None:
            return super().hello()
        return {"ticket": self.ticket, "age": time.monotonic() - self.read_at}

    def _hear(self, news: dict) -> None:
        super()._hear(news)
        if news["panel"]:
            self.due.set()

    def _read(self) -> None:
        while self.here.is_set():
            if not self.due.wait(0.5):
                continue
            self.due.clear()
            try:
                self.sent += len(self.panel.read())
                self.readings += 1
            except (httpx.HTTPError, KeyError) as error:
                self.failures.append(repr(error))
                self.due.set()
            time.sleep(READ_EVERY)

    def shows_the_truth(self) -> bool:
        return self.panel.shown == self.panel.fresh()


@dataclass
class Outcome:
    """What a run saw. `memory` is the proportional set size of each process in MiB, in the order in which it was measured."""

    events: float = 0.0  # a second
    readings: float = 0.0  # of panels, a second
    cards: float = 0.0  # sent with one reading
    settled_after: float = 0.0  # seconds after the last event
    stale: list[str] = field(default_factory=list)  # whose workspaces showed something else at the end
    failures: list[str] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def growth(self) -> dict[str, float]:
        """By how many MiB each process has grown since the first third of the run."""
        return {name: sizes[-1] - sizes[len(sizes) // 3] for name, sizes in self.memory.items()}

    def problems(self) -> list[str]:
        grown = [f"{name} has grown by {mib:.1f} MiB" for name, mib in self.growth().items() if mib > MOST_GROWTH]
        return [f"stale: {name}" for name in self.stale] + self.failures[:5] + grown


def measure(place: Deployment, outcome: Outcome) -> None:
    for unit, process in place.processes.items():
        for name, member in tree(unit, psutil.Process(process.pid)).items():
            outcome.memory[name].append(member.memory_full_info().pss / 2**20)


def soak(place: Deployment, seconds: float) -> Outcome:
    """Let it run on an empty deployment for so many seconds."""
    outcome = Outcome()
    place.shell(SETUP)
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", EVENTS]
    with subprocess.Popen(
        command, cwd=ROOT, env=place.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as events:
        try:
            assert events.stdout.readline() == "ready\n"
            addresses = (f"127.0.2.{number}" for number in itertools.count(1))
            pages = [OpenWorkspace(place, name, address) for name, address in zip(NAMES, addresses, strict=False)]
            began = time.monotonic()
            while (passed := time.monotonic() - began) < seconds:
                time.sleep(min(10.0, seconds - passed))
                measure(place, outcome)
            events.stdin.write("end\n")
            events.stdin.flush()
            said = json.loads(events.stdout.readline())
            readings = sum(page.readings for page in pages)
            outcome.events, outcome.readings = said["events"], readings / (time.monotonic() - began)
            outcome.cards = sum(page.sent for page in pages) / max(1, readings)
            outcome.settled_after = settle(pages, outcome)
            outcome.failures += [failure for page in pages for failure in page.failures]
            for page in pages:
                page.vanish()
        finally:
            events.kill()
    return outcome


def settle(pages: list[OpenWorkspace], outcome: Outcome) -> float:
    """Seconds until every workspace shows what a fresh one shows."""
    began = time.monotonic()
    left = pages
    while left and time.monotonic() - began < SETTLED_WITHIN:
        time.sleep(0.5)
        left = [page for page in left if not page.shows_the_truth()]
    outcome.stale = [page.login for page in left]
    return time.monotonic() - began


def run(seconds: float) -> Outcome:
    """Let a deployment of its own run. No mail server answers; the account sends no letters."""
    with tempfile.TemporaryDirectory() as folder, deployed(Path(folder), f"smtp://127.0.0.1:{free_port()}") as place:
        return soak(place, seconds)


def main(seconds: float) -> int:
    outcome = run(seconds)
    print(f"{seconds:.0f} s: {outcome.events:.0f} events a second, {outcome.readings:.1f} panels a second, ", end="")
    print(f"{outcome.cards:.1f} cards sent with each; true {outcome.settled_after:.1f} s after the last event")
    for name, sizes in outcome.memory.items():
        print(f"  {name}: " + " ".join(f"{size:.1f}" for size in sizes) + f" MiB, grown by {outcome.growth()[name]:+.1f}")
    for problem in outcome.problems():
        print(f"  PROBLEM {problem}")
    return int(bool(outcome.problems()))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 300.0))

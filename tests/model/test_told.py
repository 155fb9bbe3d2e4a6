"""Histories told by hand: what random ones meet too seldom. They end well, or in a Finding."""

import json

import pytest

from tests.model.replaying import replay


def tab(kind, **more):
    return [kind, {"visitor": "marina", "tab": "1"} | more]


OPEN, LOSE, LEAVE = tab("open_page", process="a"), tab("lose_network"), tab("leave_page")
FROM_APP = tab("write", department="", language="en", from_app=True)
WRITE = tab("write", department="", language="en", from_app=False)
NOTICE = {"left_notice_after": 3, "offline_after": 10}


def wait(milliseconds):
    return ["wait", {"milliseconds": milliseconds}]


def report(token, visitor="marina", device="phone"):
    return ["report_device", {"visitor": visitor, "device": device, "token": token}]


def setting(**changes):
    return ["change_settings", {"changes": changes}]


def clock(seconds):
    return ["set_clock", {"milliseconds": seconds * 1000}]


SUSPEND = ["suspend", {"milliseconds": 60_000, "first": "clock worker"}]
STOP, START = ["stop_clock_worker", {}], ["start_clock_worker", {}]
LOST, FOUND = ["lose_database", {}], ["find_database", {}]
KILL, AGAIN = ["kill_process", {"process": "a"}], ["start_process", {"process": "b"}]
HISTORIES = {
    "P7: nobody was absent before the token went": [OPEN, FROM_APP, report("one"), LEAVE, wait(2100), report("none"), wait(20_000)],
    "P7: a token moves to another visitor's device": [
        *(OPEN, FROM_APP, report("one"), LEAVE, wait(20_000)),
        *(report("one", visitor="oleg", device="tablet"), wait(20_000), report("two"), OPEN, wait(1000)),
    ],
    "P7: a device is used by another visitor, who says nothing of tokens": [
        *(OPEN, FROM_APP, report("one"), LEAVE, wait(5000), report(None, visitor="oleg"), wait(20_000), OPEN, wait(500))
    ],
    "P7: a token undoes an absence without a message": [
        *(OPEN, FROM_APP, LEAVE, wait(20_000), report("one"), wait(500), OPEN, wait(1000), LEAVE, wait(20_000)),
        *(["refuse_token", {"token": "one"}], wait(20_000), OPEN, wait(500)),
    ],
    "P7: in a dialog without any visit an absence begins too": [
        *(report("one"), ["write", {"visitor": "marina", "tab": None, "department": "", "language": "en", "from_app": True}]),
        *(wait(20_000), report("none"), wait(20_000), OPEN, wait(500)),
    ],
    "P9: a message's lease, the clock worker away": [
        *(OPEN, LOSE, wait(9000), WRITE, wait(28_000), STOP, wait(8000), START, wait(35_000))
    ],
    "P9: everything suspended": [OPEN, WRITE, LOSE, SUSPEND, wait(25_000), wait(20_000)],
    "P9: a goodbye before everything is suspended": [OPEN, WRITE, LEAVE, SUSPEND, wait(20_000), OPEN, wait(500)],
    "P9: the database away for longer than a lease": [OPEN, WRITE, LOSE, LOST, wait(60_000), FOUND, wait(25_000), wait(20_000)],
    "P9: away, and back while the database is away": [
        OPEN,
        WRITE,
        LEAVE,
        wait(8000),
        LOST,
        OPEN,
        wait(20_000),
        FOUND,
        wait(20_000),
    ],
    "P9: deadlines in an outage": [OPEN, WRITE, LEAVE, wait(4000), LOST, wait(20_000), FOUND, OPEN, wait(500)],
    "P9: a live process killed, its page heard by nobody": [OPEN, WRITE, KILL, AGAIN, wait(27_000), wait(20_000)],
    "P9: killed, and the page comes back elsewhere": [
        OPEN,
        WRITE,
        KILL,
        AGAIN,
        wait(9000),
        tab("come_back", process="b"),
        wait(60_000),
    ],
    "P9: killed with a goodbye that it had not written": [OPEN, WRITE, LEAVE, KILL, AGAIN, wait(20_000), wait(20_000)],
    "P9: killed, then the clock worker away": [OPEN, WRITE, KILL, wait(20_000), STOP, wait(60_000), START, wait(35_000)],
    "Z3: the clock set forwards over a deadline": [OPEN, WRITE, LEAVE, wait(4000), clock(3600), wait(500), OPEN, wait(500)],
    "Z3: forwards under who is there": [OPEN, WRITE, wait(5000), LOSE, clock(3600), wait(25_000), wait(20_000)],
    "Z3: back, and forwards again": [
        OPEN,
        WRITE,
        LEAVE,
        wait(4000),
        clock(-60),
        wait(20_000),
        clock(60),
        wait(500),
        OPEN,
        wait(500),
    ],
    "Z3: back under a workspace": [
        *(["open_workspace", {"operator": "anna", "process": "a"}], ["choose", {"operator": "anna", "status": "online"}]),
        *(OPEN, WRITE, clock(-600), ["lose_workspace", {"operator": "anna"}], wait(50_000), wait(20_000)),
    ],
    "Z2: a shorter lease ends nothing before it was stored": [OPEN, LOSE, wait(10_000), setting(visit_lease=6), wait(20_000)],
    "Z2: a message's lease follows the setting": [
        *(OPEN, LOSE, WRITE, wait(10_000), setting(visit_lease=15), wait(4000), setting(visit_lease=60), wait(50_000), wait(20_000))
    ],
}


@pytest.mark.django_db
@pytest.mark.parametrize("steps", HISTORIES.values(), ids=HISTORIES)
def test_told(steps):
    replay(json.dumps([NOTICE, steps]), thorough=True)

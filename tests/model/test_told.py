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


def comes(operator, process="a"):
    """The operator opens the workspace and chooses Online."""
    return [["open_workspace", {"operator": operator, "process": process}], ["choose", {"operator": operator, "status": "online"}]]


def writes(visitor, department="support", language="en"):
    return ["write", {"visitor": visitor, "tab": None, "department": department, "language": language}]


def does(kind, operator, number=1, **more):
    return [kind, {"operator": operator, "number": number} | more]


AUTOMATIC = {"assignment": "automatic", "pickup_timeout": 20, "left_notice_after": 0}
WITH_QUEUES = {
    "P9, Q8: the clock worker away over the end of a pick-up time": [
        *(*comes("anna"), writes("marina"), wait(10_000), STOP, wait(30_000), START, wait(19_000), wait(3000))
    ],
    "P9, Q8: a pause of three seconds is no outage": [
        *(*comes("anna"), writes("marina"), wait(19_990), STOP, wait(3000), START, wait(25_000))
    ],
    "P9, Q8: everything suspended": [*comes("anna"), *comes("clara"), writes("marina"), SUSPEND, wait(19_000), wait(3000)],
    "P9, Q8: a new pick-up time in an outage": [
        *(*comes("anna"), writes("marina"), wait(5000), STOP, wait(8000), setting(pickup_timeout=5), wait(8000), START),
        *(wait(4000), wait(3000)),
    ],
    "P9, Q8: the clock set forwards over a pick-up time": [
        *(*comes("anna"), writes("marina"), wait(5000), clock(300), wait(15_000), wait(8000))
    ],
    "P9, A2: without a live process nobody is gone, nor given anything 25 seconds after they were heard of": [
        *(*comes("anna"), KILL, wait(20_000), writes("marina"), wait(10_000), writes("oleg"), AGAIN, wait(2000)),
        *(wait(20_000), *comes("anna", "b"), wait(30_000)),
    ],
    "P9, Q9: closing by silence and the end of the window in an outage": [
        *(setting(close_after=30, reopen_window=20), *comes("anna"), writes("marina"), does("answer", "anna"), wait(5000)),
        *(LOST, wait(40_000), FOUND, wait(5000), wait(12_000), writes("marina")),
    ],
    "Q9: a message in an outage reopens what closed in it": [
        *(setting(close_after=30, reopen_window=60), *comes("anna"), writes("marina"), does("answer", "anna"), wait(5000)),
        *(STOP, wait(40_000), writes("marina"), START, wait(5000)),
    ],
    "Q9: the clock set forwards over the end of the window": [
        *(setting(close_after=30, reopen_window=20), *comes("anna"), writes("marina"), does("answer", "anna"), wait(5000)),
        *(clock(40), wait(1000), writes("marina")),
    ],
    "Q11: the visitor leaves while the closing is due": [
        *(setting(assignment="manual", close_after=30, reopen_window=0), OPEN, writes("marina"), KILL, does("answer", "anna")),
        wait(60_000),
    ],
    "Q6: hands go on while the clock worker is away": [
        *(setting(assignment="manual"), *comes("anna"), *comes("clara"), writes("marina"), writes("oleg"), STOP, wait(20_000)),
        *(does("take", "anna"), does("take", "clara"), does("answer", "anna")),
        *(does("transfer", "anna", what="to_operator", to="clara"), does("take", "clara", 2), does("operator_closes", "clara", 2)),
        *(wait(25_000), does("take", "clara"), START, wait(25_000)),
    ],
    "A2, Q8: a break while the clock worker is away ends an assignment": [
        *(*comes("anna"), *comes("clara"), writes("marina"), STOP, wait(8000)),
        *(["choose", {"operator": name, "status": "lunch"}] for name in ("anna", "clara")),
        *(wait(3000), START, wait(2000), ["choose", {"operator": "anna", "status": "online"}], wait(2000)),
    ],
    "Q5: limits, counted and named": [
        *(setting(max_offline_dialogs=1, visible_offline_dialogs=1), *comes("anna"), *comes("clara")),
        *(writes(visitor) for visitor in ("marina", "oleg", "nina", "pavel", "rita")),
        *(wait(2000), does("take", "anna", 3, confirmed=False), does("take", "anna", 3, confirmed=True), wait(2000)),
        *(["limit_operator", {"operator": "clara", "name": "visible_offline_dialogs", "value": 2}], wait(1000)),
    ],
    "Q7: whoever has the fewest": [*comes("anna"), writes("marina"), writes("oleg"), *comes("clara"), writes("nina"), wait(1000)],
    "Q5: one at the limit, the other has more": [
        *(setting(assignment="manual"), *comes("clara"), *comes("anna")),
        *(writes(visitor) for visitor in ("marina", "oleg", "nina", "pavel", "rita")),
        *(does("take", "clara", 1), does("take", "clara", 2)),
        *(["limit_operator", {"operator": "anna", "name": "max_offline_dialogs", "value": 1}], setting(assignment="automatic")),
    ],
    "Q4, Q8: what comes back is first again": [
        *(setting(max_offline_dialogs=1), *comes("anna"), writes("marina"), wait(3000), writes("oleg"), wait(18_000)),
        *(["choose", {"operator": "anna", "status": "lunch"}], wait(500), *comes("clara"), wait(1000)),
    ],
    "Q10: to somebody who does not speak the language": [
        *(setting(assignment="manual"), writes("marina"), *comes("vera"), *comes("boris")),
        *(does("transfer", "vera", what="to_operator", to="boris", confirmed=confirmed) for confirmed in (False, True)),
        wait(25_000),
    ],
}


@pytest.mark.django_db
@pytest.mark.parametrize("steps", HISTORIES.values(), ids=HISTORIES)
def test_told(steps):
    replay(json.dumps([NOTICE, steps]), thorough=True)


@pytest.mark.django_db
@pytest.mark.parametrize("steps", WITH_QUEUES.values(), ids=WITH_QUEUES)
def test_told_of_queues(steps):
    replay(json.dumps([AUTOMATIC, steps]))

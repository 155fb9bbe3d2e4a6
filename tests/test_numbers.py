"""Numbers that people write: one parser, and no page that a number breaks."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogs.views.visitor_input import SinceSerializer
from tests import people
from webim_offline.foundation.numbers import whole_number

ROOT = Path(__file__).resolve().parent.parent
BAD = ["", " ", "x", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "1_000", "١٢", "１", "²", "½", "\x001"]
BAD += [str(2**63), "9" * 19, "9" * 5000]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_number(text):
    assert whole_number(text) is None


@pytest.mark.parametrize("value", [None, 1, 1.5, True, b"1", ["1"]])
def test_only_texts_are_read(value):
    assert whole_number(value) is None


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_what_is_one(number):
    assert whole_number(str(number)) == number


@given(st.text())
def test_nothing_else_is_read_and_nothing_breaks(text):
    assert whole_number(text) is None or (set(text) <= set("0123456789") and int(text) < 2**63)


def test_a_ceiling():
    assert (whole_number("65535", most=65535), whole_number("65536", most=65535)) == (65535, None)


def test_there_is_no_second_parser():
    """A number of somebody's is known by `isdecimal`, `isdigit` or `isnumeric` before it is read: only here.

    Elsewhere digits are counted, or taken off.
    """
    known = {
        "webim_offline/foundation/numbers.py": {"isdecimal"},
        "operators/authentication/password_rules.py": {"isdigit"},
        "webim_offline/foundation/database/stemming.py": {"isdigit"},
        "webim_offline/foundation/email_addresses.py": {"isdecimal"},
    }
    for room in ("operators", "dialogs", "notifications", "webim_offline"):
        for path in (ROOT / room).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            words = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
            assert words & {"isdecimal", "isdigit", "isnumeric"} <= known.get(name, set()), name


HUGE = ["99999999999999999999", "9" * 400, "9" * 5000, "-1", "1.5", "١", "0"]


@pytest.mark.parametrize("number", HUGE)
class TestPagesOfOperators:
    @pytest.fixture
    def browser(self, client, account, vera, settings):
        settings.RATE_LIMITS = settings.RATE_LIMITS | {"operator_search": "100000/min", "operator_write": "100000/min"}
        people.start_dialog(account)
        people.sign_in(client, vera)
        return client

    def test_addresses(self, browser, number):
        for rest in ("", "fragment/", "history/", "transfer/to/"):
            assert browser.get(f"/workspace/{number}/{rest}").status_code == 404
        for rest in ("take/", "answer/", "close/", "transfer/"):
            assert browser.post(f"/workspace/{number}/{rest}", {"text": "x", "key": "k", "to": "queue"}).status_code == 404
        assert browser.post(f"/workspace/team/{number}/status/", {"status": "online"}).status_code == 404

    def test_questions(self, browser, number):
        assert browser.get("/workspace/panel/", {"open": number, "under": number}).status_code == 200
        assert browser.get("/workspace/ticket/", {"open": number}).status_code in {200, 404}
        assert browser.get("/workspace/1/history/", {"before": number}).status_code == 200
        for name in ("q", "department", "language", "operator", "visitor_of", "before"):
            assert browser.get("/workspace/archive/", {name: number}).status_code in {200, 400}

    def test_forms(self, browser, number):
        for to in (f"operator-{number}", f"department-{number}"):
            assert browser.post("/workspace/1/transfer/", {"to": to}).status_code < 500
        assert browser.post("/workspace/1/take/", {"instead_of": number}).status_code < 500


@pytest.mark.parametrize(
    "number", [10**19, -1, 10**400, 1.5, float("inf"), float("nan"), True, [], {}, "9" * 5000, "1.0", "١", "-1"]
)
def test_the_widgets_numbers(number):
    for name in ("number", "after"):
        asked = SinceSerializer(data={name: number})
        assert not asked.is_valid()
        assert set(asked.errors) == {name}


@pytest.mark.parametrize("number", [0, 7, "7", 2**62])
def test_the_widgets_good_numbers(number):
    assert SinceSerializer(data={"number": number}).is_valid()

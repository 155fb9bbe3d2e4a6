"""How much visitors may read and operators may write and search (X3): far more than people do, and no more."""

import json

import pytest
from django.conf import settings as project_settings
from django.test import Client

from dialogs.models import Dialog, Message
from operators.models import Operator
from tests import people

TOKEN = "t" * 32
LIMITED = "That was too much in a short time. Try again in "


@pytest.fixture
def limits(settings):
    """Sets limits by name."""

    def set_limits(**wanted):
        settings.RATE_LIMITS = settings.RATE_LIMITS | wanted

    return set_limits


@pytest.fixture
def read(account):
    def ask(token=TOKEN, **where):
        body = json.dumps({"account": account.slug, "token": token})
        return Client().post("/widget/api/conversation", body, content_type="text/plain", **where)

    return ask


@pytest.fixture
def visitor(account):
    return people.make_visitor(account, token=TOKEN)


@pytest.fixture
def as_anna(anna):
    client = Client()
    client.force_login(anna)
    return client


class TestVisitors:
    def test_a_visitor_reads_so_often(self, limits, read, visitor):
        limits(visitor_read="3/min")
        assert [read(REMOTE_ADDR=f"192.0.2.{number}").status_code for number in range(4)] == [200] * 3 + [429]
        answer = read()
        assert int(answer["Retry-After"]) == answer.json()["retry_after"] > 0
        assert answer["Access-Control-Allow-Origin"] == "*"

    def test_a_network_reads_so_often(self, limits, read, account, visitor):
        limits(visitor_read_address="3/min")
        for number in range(4):
            people.make_visitor(account, token=f"{number}" * 32)
        assert [read(f"{number}" * 32).status_code for number in range(4)] == [200] * 3 + [429]
        assert read(REMOTE_ADDR="192.0.2.7").status_code == 200

    def test_a_network_tries_so_many_tokens_and_right_ones_still_work(self, limits, read, visitor):
        limits(unknown_token="3/min")
        assert [read(f"wrong-{number}").status_code for number in range(4)] == [401] * 3 + [429]
        assert read().status_code == 200
        assert read("wrong", REMOTE_ADDR="192.0.2.7").status_code == 401

    def test_wrong_tokens_count_at_every_address(self, limits, account, visitor):
        limits(unknown_token="1/min")
        place = {"account": account.slug, "visit": "visit-000001", "token": "wrong"}
        bodies = {
            "session": {},
            "ticket": {},
            "conversation": {},
            "messages": {"key": "key-00000001", "text": "tea"},
            "contacts": {"contacts": {"email": "m@mail.example"}},
            "end": {"number": 1},
        }
        client = Client()
        client.post("/widget/api/session", json.dumps(place), content_type="text/plain")
        for verb, body in bodies.items():
            answer = client.post(f"/widget/api/{verb}", json.dumps(place | body), content_type="text/plain")
            assert answer.status_code == 429, verb

    def test_a_busy_office_does_not_notice(self):
        """500 people behind one address, each with a chat that is heard of twice a minute."""
        limits = project_settings.RATE_LIMITS
        assert (limits["visitor_read"], limits["visitor_read_address"]) == ("120/min", "1200/min")
        assert limits["unknown_token"] == "60/min"


class TestOperators:
    def test_so_many_writes(self, limits, as_anna, account):
        limits(operator_write="3/min")
        dialog = people.start_dialog(account)
        url = f"/workspace/{dialog.number}/"
        assert as_anna.post(f"{url}take/").status_code == 302
        assert as_anna.post("/workspace/status/", {"status": "online"}).status_code == 302
        assert as_anna.post(f"{url}answer/", {"text": "tea", "key": "k1"}).status_code == 302
        for act, data in {
            "/workspace/status/": {"status": "lunch"},
            "/workspace/rings/": {},
            f"{url}take/": {},
            f"{url}answer/": {"text": "more tea", "key": "k2"},
            f"{url}transfer/": {"to": "queue"},
            f"{url}close/": {},
        }.items():
            answer = as_anna.post(act, data, headers={"X-Requested-With": "fetch"})
            assert answer.status_code == 429, act
            assert int(answer["Retry-After"]) > 0
            assert answer.json()["error"].startswith(LIMITED)
        assert Message.objects.filter(kind="operator").count() == 1
        assert Dialog.objects.get().is_open
        assert Operator.objects.get().status == "online"
        assert as_anna.get(url).status_code == 200, "reading is not writing"

    def test_a_page_says_it_too(self, limits, as_anna):
        limits(operator_write="1/min")
        as_anna.post("/workspace/status/", {"status": "online"})
        answer = as_anna.post("/workspace/status/", {"status": "lunch"}, headers={"Accept-Language": "ru"})
        assert answer.status_code == 429
        assert int(answer["Retry-After"]) > 0
        assert '<html lang="ru">' in answer.content.decode()

    def test_one_operator_is_not_another(self, limits, as_anna, boris):
        limits(operator_write="1/min")
        statuses = [as_anna.post("/workspace/status/", {"status": "online"}).status_code for _ in range(2)]
        assert statuses == [302, 429]
        other = Client()
        other.force_login(boris)
        assert other.post("/workspace/status/", {"status": "online"}).status_code == 302

    def test_so_many_searches_of_the_archive(self, limits, as_anna):
        limits(operator_search="2/min")
        answers = [as_anna.get("/workspace/archive/", {"q": "tea"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert LIMITED in answers[-1].content.decode()
        assert as_anna.get("/workspace/").status_code == 200

    def test_so_many_searches_of_the_admin(self, limits, vera, client):
        limits(operator_search="2/min")
        client.force_login(vera)
        url = "/admin/dialogs/dialog/"
        assert [client.get(url, {"q": "tea"}).status_code for _ in range(3)] == [200, 200, 429]
        assert client.get(url).status_code == 200, "the list itself can still be looked at"

    def test_they_are_made_for_people(self):
        assert project_settings.RATE_LIMITS["operator_write"] == "120/min"
        assert project_settings.RATE_LIMITS["operator_search"] == "60/min"


def test_every_limit_is_told_to_the_security_log_with_its_name(limits, read, visitor, as_anna, caplog):
    limits(visitor_read="1/min", operator_write="1/min")
    for _ in range(2):
        read()
        as_anna.post("/workspace/status/", {"status": "online"})
    lines = [line.getMessage() for line in caplog.records if line.name == "security"]
    anna = Operator.objects.get()
    assert lines == [
        f"event=limit outcome=limited account={anna.account_id} network=127.0.0.1 reason=visitor_read",
        f"event=limit outcome=limited operator={anna.pk} account={anna.account_id} network=127.0.0.1 reason=operator_write",
    ]

"""A change of settings acts on the running service, without a restart, within 2 s (interfaces.md, "Settings of an account")."""

from pathlib import Path

import pytest

from tests.crash.test_outages import absences, tell
from tests.running import Service, eventually, temporary_folder
from tests.visitors import Page

pytestmark = pytest.mark.long


@pytest.fixture
def service():
    with temporary_folder() as folder:
        service = Service(Path(folder)).start()
        yield service
        service.stop()


def change(service: Service, **changes: int) -> None:
    tell(service, f"change_settings(Account.objects.get(slug='demo'), {changes!r}, actor=None)")


def lateness(service: Service, kind: str) -> float:
    """Seconds from the storing of the latest change to the writing of the latest event of that kind."""
    event, stored = f"DialogEvent.objects.filter(kind='{kind}').last().handled_at", "SettingChange.objects.latest('pk').at"
    return float(tell(service, f"print(({event} - {stored}).total_seconds())"))


def test_shorter_times_act_on_who_is_away_and_a_shorter_lease_on_who_is_there(service):
    page = Page(service)
    page.write("Are you there?")
    eventually(lambda: tell(service, "print(Visitor.objects.get().is_present)") == "True")
    page.vanish()
    change(service, visit_lease=3)
    eventually(lambda: absences(service) == ["visitor_left"], within=20)
    change(service, left_notice_after=1)
    eventually(lambda: absences(service) == ["visitor_left", "left_notice"])
    assert 0 <= lateness(service, "left_notice") < 10  # 2 on a machine of its own
    change(service, offline_after=1)
    eventually(lambda: absences(service) == ["visitor_left", "left_notice", "went_offline"])
    assert 0 <= lateness(service, "went_offline") < 10
    offline, changed = "DialogEvent.objects.get(kind='went_offline').at", "SettingChange.objects.latest('pk').at"
    assert tell(service, f"print({offline} == {changed})") == "True", "written as of the moment the setting was stored (Z2)"

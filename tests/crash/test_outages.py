"""P9 with real processes: an outage is never shown as people leaving."""

import signal
import time
from pathlib import Path

import pytest

from tests.running import Service, eventually, temporary_folder
from tests.visitors import Page

pytestmark = pytest.mark.long
LEASE = 6  # seconds; the account's visit_lease here


@pytest.fixture
def service():
    with temporary_folder() as folder:
        service = Service(Path(folder)).start()
        changes = {"visit_lease": LEASE, "left_notice_after": 0, "offline_after": 0}
        tell(service, f"change_settings(Account.objects.get(slug='demo'), {changes!r}, actor=None)")
        yield service
        service.stop()


def tell(service: Service, code: str) -> str:
    """Run a line with models and actions at hand; returns what it prints."""
    words = "from dialogs.models import *; from operators.models import *; from operators.actions.settings import change_settings; "
    return service.manage("shell", "-v0", "-c", words + code).strip()


def absences(service: Service) -> list[str]:
    """Everything that was ever said about visitors leaving."""
    kinds = "'visitor_left', 'left_notice', 'went_offline', 'returned'"
    return tell(service, f"print(*DialogEvent.objects.filter(kind__in=[{kinds}]).values_list('kind', flat=True))").split()


def is_here(service: Service) -> bool:
    return tell(service, "print(Visitor.objects.get().is_present)") == "True"


def outlives(service: Service, page: Page, outage) -> None:
    """A visitor who is there all along is never shown as gone over the outage, and is when really gone."""
    page.write("Are you there?")
    eventually(lambda: is_here(service))
    outage()
    eventually(service.is_healthy, within=30)
    time.sleep(LEASE + 4)
    assert is_here(service)
    assert absences(service) == []
    page.vanish()
    eventually(lambda: not is_here(service), within=3 * LEASE + 10)
    assert absences(service) == ["visitor_left"]


def stand_still(processes: list) -> None:
    """Suspend processes for twice the lease."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    time.sleep(2 * LEASE)
    for process in processes:
        process.send_signal(signal.SIGCONT)


def test_everything_suspended_for_longer_than_the_lease(service):
    outlives(service, Page(service), lambda: stand_still([service.supervisor, *service.children().values()]))


def test_the_live_process_killed(service):
    outlives(service, Page(service), lambda: service.children()["web"].kill())


def test_clock_worker_and_beat_stand_still_for_longer_than_the_lease(service):
    outlives(service, Page(service), lambda: stand_still([service.children()[name] for name in ("clock", "beat")]))

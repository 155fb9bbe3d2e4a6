"""The embedded service beside somebody who opens as many streams as there are (X3).

tests/crash/test_deployment.py shows the same for the live processes of production.
"""

import time
from pathlib import Path

import pytest

from dialogs.live.caps import MOST_OPENED_BY_PAGE
from dialogs.live.streams import REFUSED, REPLACED, TRY_LATER
from tests.hoarding import fresh_tickets, hoard
from tests.running import Service, temporary_folder
from webim_offline.foundation.logs.security import MOST_LINES

pytestmark = pytest.mark.long
MOST = 120  # of one address here


@pytest.fixture(scope="module")
def service():
    with temporary_folder() as folder:
        service = Service(Path(folder), STREAMS_PER_ADDRESS=str(MOST)).start()
        yield service
        service.stop()


def test_one_ticket_holds_one_stream(service):
    found = hoard(service.url, fresh_tickets(service.url, 1) * 232)
    assert found.open == 1
    assert found.told <= MOST_OPENED_BY_PAGE * 2  # the openings may reach into a second window
    assert set(found.closed) <= {REPLACED, TRY_LATER, REFUSED}
    assert fresh_tickets(service.url, 1), "the service does not suffer"


def test_one_address_holds_no_more_than_it_may(service):
    time.sleep(10)  # openings are counted in windows of ten seconds
    found = hoard(service.url, fresh_tickets(service.url, MOST + 2 * MOST_LINES))
    assert (found.open, found.told) == (MOST, MOST)
    assert found.closed == {TRY_LATER: 2 * MOST_LINES}
    assert 0 < service.said().count("event=limit") <= 2 * MOST_LINES  # of this and the other test, perhaps in two minutes
    assert "Traceback" not in service.said()

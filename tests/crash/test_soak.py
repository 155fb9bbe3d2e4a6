"""A short run of `python -m tests.soak`: the production layout under two hundred events a second stays true."""

from pathlib import Path

import pytest

from tests.deployment import deployed
from tests.notifications.mail import RunningHost
from tests.running import temporary_folder
from tests.soak import NAMES, soak

pytestmark = pytest.mark.long
SECONDS = 30.0


def test_every_workspace_shows_what_a_fresh_one_shows():
    mail = RunningHost()
    mail.start()
    try:
        with temporary_folder() as folder, deployed(Path(folder), f"smtp://127.0.0.1:{mail.port}") as place:
            outcome = soak(place, SECONDS)
    finally:
        mail.stop()
    assert outcome.problems() == []
    assert outcome.readings * SECONDS > len(NAMES)

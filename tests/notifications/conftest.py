"""An account whose left messages are mailed, and a mail server to mail them to."""

import pytest

from tests import people
from tests.notifications.mail import RunningHost

LEFT = "left@north.example"


@pytest.fixture
def account(db, settings):
    """North Tea; left messages go to left@north.example."""
    settings.PUBLIC_URL, settings.PUBLIC_HOST = "https://chat.north.example", "chat.north.example"
    settings.EMAIL_FROM = "noreply@chat.north.example"
    return people.make_account("north-tea", left_messages_email=LEFT)


@pytest.fixture
def running(settings):
    """A mail server that takes everything until told otherwise; `running.host` is what it was given."""
    running = RunningHost()
    running.start()
    settings.MAIL_SERVER = running.address
    yield running
    running.stop()


@pytest.fixture
def host(running):
    return running.host

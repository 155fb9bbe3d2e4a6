"""Random histories, the same ones in every run (`make fuzz` takes new ones)."""

import pytest

from tests.model.machine import Presence
from tests.model.queue_machine import Queues
from tests.model.shrinking import hunt


@pytest.mark.django_db
def test_presence():
    hunt(Presence, examples=40, steps=30, derandomize=True)


@pytest.mark.django_db
def test_queues():
    hunt(Queues, examples=32, steps=30, derandomize=True)

"""The recorded histories, lived through once more: random ones are new in every run, these stay."""

import pytest

from tests.model.recording import COUNT, HISTORIES, missing_kinds
from tests.model.replaying import replay

LINES = HISTORIES.read_text().splitlines()

pytestmark = pytest.mark.long


def test_every_kind_of_step_occurs():
    assert len(set(LINES)) == COUNT
    assert missing_kinds(LINES) == set()


@pytest.mark.django_db
@pytest.mark.parametrize("line", LINES, ids=range(1, len(LINES) + 1))
def test_history(line):
    replay(line)

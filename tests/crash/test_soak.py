"""A short run of `python -m tests.soak`: the production layout under two hundred events a second stays true."""

import pytest

from tests import soak

pytestmark = pytest.mark.long
SECONDS = 30.0


def test_every_workspace_shows_what_a_fresh_one_shows():
    outcome = soak.run(SECONDS)
    assert outcome.problems() == []
    assert outcome.readings * SECONDS > len(soak.NAMES)

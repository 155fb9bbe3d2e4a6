"""Recorded histories, one JSON line each, lived through once more."""

import json

from django.db import transaction

from tests.model import app_steps, operator_steps, outage_steps, queue_steps, visitor_steps
from tests.model.story import STEPS, Story

STEP_KINDS = (visitor_steps, operator_steps, app_steps, outage_steps, queue_steps)
assert STEPS.keys() <= {name for module in STEP_KINDS for name in vars(module)}


def replay(line: str, *, thorough: bool = False) -> Story:
    """Live a recorded history through once more, in a transaction that is rolled back; raises Finding."""
    settings, steps = json.loads(line)
    with transaction.atomic():
        with Story(settings, thorough=thorough) as story:
            for kind, parameters in steps:
                story.do(kind, **parameters)
        transaction.set_rollback(True)
    return story

"""Random histories, and a shorter one with the same finding."""

import json
from time import perf_counter  # the only clock here that no history moves

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.model.replaying import replay
from tests.model.story import Finding


def hunt(machine: type[RuleBasedStateMachine], *, examples: int, steps: int, derandomize: bool = False) -> None:
    """Run the machine; what it finds fails the test, with the shortest history that shows it.

    Hypothesis chooses the histories and does not shorten them: it would choose other steps, and take long.
    """
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=derandomize,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    try:
        run_state_machine_as_test(machine, settings=profile)
    except Finding as finding:
        short = shortest(finding)
        pytest.fail(f"{type(short.cause).__name__}: {short.cause}\n\n{short.line}", pytrace=False)


def finding_of(line: str) -> Finding | None:
    """What the history ends in; None if all is well."""
    try:
        replay(line, thorough=True)
    except Finding as finding:
        return finding
    return None


def shortest(finding: Finding, seconds: float = 120) -> Finding:
    """Leave steps out, ever fewer at once, as long as the same kind of thing goes wrong and there is time.

    A history that makes no sense without a step ends in another error, and is not taken.
    """
    until, size = perf_counter() + seconds, len(json.loads(finding.line)[1])
    while size:
        settings, steps = json.loads(finding.line)
        size = min(size, len(steps))
        for begin in range(0, len(steps), size):
            shorter = json.dumps([settings, steps[:begin] + steps[begin + size :]])
            found = finding_of(shorter) if perf_counter() < until else None
            if found is not None and type(found.cause) is type(finding.cause):
                finding = found
                break
        else:
            size //= 2
    return finding

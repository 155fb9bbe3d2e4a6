"""Counting what something costs: statements, messages to the database, and questions to Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from webim_offline.foundation import redis_gate
from webim_offline.foundation.database import statements

CONTROL = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


@dataclass
class Cost:
    """`statements` travel in `messages` to the database; what begins and ends transactions is in neither."""

    statements: int = 0
    messages: int = 0
    redis: int = 0
    log: str = ""


@contextmanager
def counted() -> Iterator[Cost]:
    """Count what happens in this thread; the numbers are there when it is over."""
    cost = Cost()
    together: list[int] = []
    run, ask = statements._one_message, redis_gate.Gate.ask

    def counting(sent: Any) -> Any:
        together.append(len(sent))
        return run(sent)

    def asking(gate: Any, question: Any) -> Any:
        cost.redis += 1
        return ask(gate, question)

    with pytest.MonkeyPatch.context() as patch, CaptureQueriesContext(connection) as captured:
        patch.setattr(statements, "_one_message", counting)
        patch.setattr(redis_gate.Gate, "ask", asking)
        yield cost
    sent = [query["sql"] for query in captured if not query["sql"].startswith(CONTROL)]
    cost.messages = len(sent)
    cost.statements = len(sent) - len(together) + sum(together)
    cost.log = "\n".join(sent)

"""Transactions that survive being a deadlock's victim."""

import logging
import random
from collections.abc import Callable
from functools import wraps
from time import sleep
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

logger = logging.getLogger(__name__)
TRIES = 4
VICTIMS = {"40P01", "40001"}  # deadlock_detected, serialization_failure

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def atomic(action: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """`transaction.atomic` for a whole domain action; run again from its beginning when the database broke a deadlock by it.

    Inside another transaction that one decides: the error goes up to it.
    """

    @wraps(action)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        for tries_left in reversed(range(TRIES)):
            is_outermost = not connection.in_atomic_block
            try:
                with transaction.atomic():
                    return action(*args, **kwargs)
            except OperationalError as error:
                if not is_outermost or not tries_left or getattr(error.__cause__, "sqlstate", None) not in VICTIMS:
                    raise
                logger.info("%s was a deadlock's victim, running it again", action.__qualname__)
                sleep(random.uniform(0.01, 0.1))  # noqa: S311 - only so that the two do not meet again
        raise AssertionError("unreachable")

    return run

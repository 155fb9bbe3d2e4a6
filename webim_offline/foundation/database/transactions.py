"""Transactions that are run again after the database has rolled them back.

It does so with one of the transactions of a deadlock, and with those in which nothing has happened for too long (decision 0025).
"""

import logging
import random
from collections.abc import Callable
from functools import wraps
from time import sleep
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

logger = logging.getLogger(__name__)
TRIES = 4  # in all
# SQLSTATE deadlock_detected, serialization_failure, idle_in_transaction_session_timeout. In each case nothing was committed.
BROKEN_OFF = {"40P01", "40001", "25P03"}

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def atomic(action: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Decorate an action so that it runs in a transaction, and is run again when the database has rolled that back.

    The action must be safe to run more than once: whatever it does outside of the database must be done after the commit. It is run
    TRIES times at most, then the last OperationalError is raised.

    Inside another transaction the error is raised at once, because all of that transaction has to be run again. After a connection
    was lost for another reason nothing is run again either, because the commit may have been carried out.
    """

    @wraps(action)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        for tries_left in reversed(range(TRIES)):
            is_outermost = not connection.in_atomic_block
            try:
                with transaction.atomic():
                    return action(*args, **kwargs)
            except OperationalError as error:
                if not is_outermost or not tries_left or getattr(error.__cause__, "sqlstate", None) not in BROKEN_OFF:
                    raise
                logger.info("%s was broken off by the database, running it again: %s", action.__qualname__, error)
                sleep(random.uniform(0.01, 0.1))  # noqa: S311 - so that the same two do not meet again
        raise AssertionError("unreachable")

    return run

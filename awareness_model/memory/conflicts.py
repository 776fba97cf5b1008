"""Writes that met another process's commit: told apart from other failures, and tried again."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

CONFLICT_RETRIES = 50

ResultT = TypeVar("ResultT")


class Conflict(Exception):
    """Another process changed the same rows first."""


SIGNS = ("Too many concurrent writers", "Retryable commit conflict", "Commit conflict")


def retried(change: Callable[[], ResultT]) -> ResultT:
    """Run a read and its write again as long as others change the same rows in between.

    Raises:
        Conflict: `CONFLICT_RETRIES` times in a row.
    """
    for tried in range(CONFLICT_RETRIES):
        try:
            return change()
        except Conflict:
            time.sleep(random.uniform(0, 0.002 * min(tried + 1, 20)))
    return change()


def is_conflict(error: Exception) -> bool:
    """Tell whether Lance refused a commit because of another's."""
    return any(sign in str(error) for sign in SIGNS)

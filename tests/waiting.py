"""Waiting for something to become true, in place of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds for what is due at once. No promise: a busy machine may take its time, and whoever need not wait
#: does not.
PATIENCE = 60.0


def wait_until(
    predicate: Callable[[], T], timeout: float = PATIENCE, message: str = "", interval: float = 0.01
) -> T:
    """Call until it answers with something true, and return that; it may raise AssertionError till then."""
    deadline = time.monotonic() + timeout
    while True:
        last = None
        try:
            answer = predicate()
            if answer:
                return answer
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(message or f"not true within {timeout} s") from last
        time.sleep(interval)

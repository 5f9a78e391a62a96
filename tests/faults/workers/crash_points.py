"""Named in WORKFLOWS: a worker process ends itself with SIGKILL at boundaries of a stage's life.

``CRASH_AT`` is ``point:passes,…``: at the so-manieth time that a process passes the point it dies, once for
each point and folder of marks (``CRASH_MARKS``).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dramatiq.brokers.rabbitmq import _RabbitmqConsumer

import db.ledger
from actors.rabbitmq_broker import RabbitmqBroker
from actors.redis_broker import RedisBroker
from callboard.chaos import effects
from db.board import Board
from db.ledger import Ledger
from middleware.recorder import Recorder

PASSES = {
    part.partition(":")[0]: int(part.partition(":")[2])
    for part in filter(None, os.environ.get("CRASH_AT", "").split(","))
}
MARKS = Path(os.environ.get("CRASH_MARKS", "."))
#: The runner and the clock import this module too; only workers die.
IS_WORKER = "dramatiq" in sys.argv[0]

_passed: Counter[str] = Counter()
_lock = threading.Lock()


def crash(point: str) -> None:
    """Die here if it is time."""
    if point not in PASSES or not IS_WORKER:
        return
    with _lock:
        _passed[point] += 1
        if _passed[point] < PASSES[point]:
            return
        try:
            os.close(os.open(MARKS / point, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


def around(
    owner: Any, name: str, before: Callable[..., str] | str = "", after: Callable[..., str] | str = ""
) -> None:
    """Put crash points before and after a method; a function makes the point's name from the arguments."""
    method = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        crash(before if isinstance(before, str) else before(*arguments))
        answer = method(*arguments, **options)
        crash(after if isinstance(after, str) else after(*arguments))
        return answer

    setattr(owner, name, wrapped)


around(Board, "begin", "before_begin", "after_begin")
around(
    effects,
    "_append",
    "",
    lambda path, line: {"begin": "in_body", "end": "after_effect"}.get(line["line"], ""),
)
around(
    RedisBroker,
    "settle",
    lambda self, hand_over, *rest: f"before_{hand_over.transition.name}",
    lambda self, hand_over, *rest: f"after_{hand_over.transition.name}",
)
around(
    RabbitmqBroker,
    "settle",
    lambda self, hand_over, *rest: f"before_{hand_over.transition.name}",
    lambda self, hand_over, *rest: f"before_ack_of_{hand_over.transition.name}",
)
around(RabbitmqBroker, "send", "before_enqueue", "after_enqueue")
around(_RabbitmqConsumer, "ack", "", "after_ack")
around(Ledger, "record", "before_ledger", "after_ledger")
around(type(db.ledger.CHAINS), "write", "", "in_ledger")
around(Recorder, "_settle", "", "after_settle")

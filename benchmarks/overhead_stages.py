"""Four stages that do nothing: bare on Dramatiq's stock broker, or tracked. Run by ``overhead.py``.

``OVERHEAD_SYSTEM`` picks ``bare`` or ``tracked``; the last stage tells ``overhead.py`` through a list.
"""

from __future__ import annotations

import os
from typing import Any

import dramatiq
import redis

DONE = "overhead:done"
SYSTEM = os.environ["OVERHEAD_SYSTEM"]

if SYSTEM == "bare":
    from dramatiq.brokers.redis import RedisBroker

    dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))
else:
    import actors  # noqa: F401

_probe: redis.Redis | None = None


def _done(chain: Any) -> None:
    global _probe  # noqa: PLW0603 (one connection a process, made after the fork)
    if _probe is None:
        _probe = redis.Redis.from_url(os.environ["REDIS_URL"])
    _probe.rpush(DONE, chain)


def _first(chain: Any) -> Any:
    return chain


def _second(chain: Any) -> Any:
    return chain


def _third(chain: Any) -> Any:
    return chain


def _fourth(chain: Any) -> Any:
    _done(chain)
    return chain


_FUNCTIONS = (_first, _second, _third, _fourth)

if SYSTEM == "bare":
    STAGES = [dramatiq.actor(actor_name=function.__name__)(function) for function in _FUNCTIONS]
else:
    from callboard import Workflow, stage

    STAGES = [
        stage(actor_name=function.__name__, name=function.__name__)(function) for function in _FUNCTIONS
    ]
    WORKFLOW = Workflow("overhead", STAGES)


def start(count: int) -> None:
    """Start ``count`` chains."""
    if SYSTEM == "tracked":
        for number in range(count):
            WORKFLOW.start(number)
        return
    for number in range(count):
        first, *others = STAGES
        dramatiq.pipeline([first.message(number), *(actor.message() for actor in others)]).run()

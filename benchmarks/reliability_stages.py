"""The control: the samples of ``callboard chaos`` as stock Dramatiq has them, on a stock RedisBroker."""

from __future__ import annotations

import os
import time
from typing import Any

import dramatiq
from dramatiq import group, pipeline
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks, Retries
from dramatiq.rate_limits.backends import RedisBackend

from callboard.chaos.effects import body
from callboard.chaos.samples import MEMBERS, RETRIES, WEAK_MEMBER, GiveUp, Stumble

URL = os.environ["REDIS_URL"]
broker = RedisBroker(url=URL)
broker.add_middleware(GroupCallbacks(RedisBackend(url=URL)), before=Retries)
dramatiq.set_broker(broker)

Given = dict[str, Any]


def work(given: Given, stage: int, member: int = 0) -> Given:
    """The same lines, pauses and exceptions as a stage of ``callboard/chaos/workflow.py``."""
    plan = given["plan"]
    with body(plan["effects"], [], plain=given["chain"], stage=stage, member=member):
        seconds = plan["seconds"][stage - 1]
        time.sleep(seconds / 2)
        if stage in plan["raises"] and first_try(given, stage, member):
            raise Stumble(f"stage {stage} was told to stumble once")
        if stage in plan.get("fails", []) and member in (0, WEAK_MEMBER):
            raise GiveUp(f"stage {stage} was told to fail")
        time.sleep(seconds / 2)
    return given


def first_try(given: Given, stage: int, member: int) -> bool:
    """Whether this is the first time: a marker beside the effects remembers."""
    marker = f"{given['plan']['effects']}.{given['chain']}.{stage}.{member}"
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@dramatiq.actor(**RETRIES)
def first(given: Given) -> Given:
    """Begins both kinds of chain; before a parallel stage it sends the group."""
    given = work(given, 1)
    if given["workflow"] == "chaos_fan":
        members = group([member.message(given, number) for number in range(1, MEMBERS + 1)])
        members.add_completion_callback(pipeline([third.message(given), fourth.message()]).messages[0])
        members.run()
    return given


@dramatiq.actor(**RETRIES)
def second(given: Given) -> Given:
    """The second of four."""
    return work(given, 2)


@dramatiq.actor(**RETRIES)
def member(given: Given, number: int) -> Given:
    """A member of the group."""
    return work(given, 2, number)


@dramatiq.actor(**RETRIES)
def third(given: Given) -> Given:
    """The third of four, or what follows the group."""
    return work(given, 3)


@dramatiq.actor(**RETRIES)
def fourth(given: Given) -> Given:
    """The last one."""
    return work(given, 4)


def start(chain: str, workflow: str, data: Given) -> None:
    """Start a chain."""
    given = {**data, "chain": chain, "workflow": workflow}
    if workflow == "chaos_fan":
        first.send(given)
    else:
        pipeline([first.message(given), second.message(), third.message(), fourth.message()]).run()

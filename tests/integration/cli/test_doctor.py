"""callboard doctor: what is wrong with servers, middleware, workers and clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.middleware import Retries
from servers import RedisServer
from shell import QUEUES, Shell

from actors.application import Application
from callboard.doctor import examine
from callboard.doctor_workers import judge_dramatiq, judge_middleware
from db.keys import Keys
from db.redis_client import ThreadClients
from db.workers import WorkerFacts, Workers
from middleware.tracking import Tracking


def findings(shell: Shell, subject: str) -> list[tuple[str, str]]:
    """What ``callboard doctor`` says of a subject, as (level, text)."""
    return [
        (found["level"], found["text"]) for found in shell.json_lines("doctor") if found["subject"] == subject
    ]


def worries(application: Application, subject: str) -> list[tuple[str, str]]:
    """What is no ``ok``, looked at from this process."""
    return [
        (finding.level, finding.text)
        for finding in examine(application)
        if finding.subject == subject and finding.level != "ok"
    ]


# -- Redis -------------------------------------------------------------------------------------------------


def test_a_replica(private_redis: RedisServer, build_shell: Callable[..., Shell]) -> None:
    with redis.Redis.from_url(private_redis.url) as client:
        client.replicaof("127.0.0.1", "1")
    shell = build_shell(REDIS_URL=private_redis.url)
    assert shell.call("migrate").returncode == 0
    assert shell.call("doctor").returncode == 2
    told = ("error", "this is a replica, which takes no writes; let REDIS_URL name its master")
    assert told in findings(shell, "redis")


def test_a_full_redis(private_redis: RedisServer, build_application: Any) -> None:
    application = build_application(REDIS_URL=private_redis.url)
    client = application.board.clients.get()
    client.config_set("appendonly", "yes")
    assert worries(application, "redis") == []
    client.setrange("ballast", (64 << 20) - 1, b"x")  # grows in the server, through no buffer
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", int(used * 1.05))
    ((level, text),) = worries(application, "redis")
    assert (level, text.partition(": ")[2]) == ("warning", "nearly full")
    client.config_set("maxmemory", 32 << 20)
    ((level, text),) = worries(application, "redis")
    assert (level, text.partition(" of a ")[2]) == ("error", "maxmemory of 32.0 MiB: nothing can start")


# -- clocks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "level"), [(-3.0, "warning"), (3.0, "warning"), (60.0, "error")])
def test_a_clock_that_is_off(
    build_application: Any,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    off: float,
    level: str,
) -> None:
    application = build_application(DATABASE_URL=postgres_url)
    told = " s away from {}; set both by NTP"
    for subject, whose in (("redis", "Redis'"), ("database", "PostgreSQL's")):
        assert told.format(whose) not in str(worries(application, subject))
    honest = time.time
    monkeypatch.setattr("callboard.doctor_stores.time.time", lambda: honest() + off)
    for subject, whose in (("redis", "Redis'"), ("database", "PostgreSQL's")):
        (found,) = [worry for worry in worries(application, subject) if told.format(whose) in worry[1]]
        assert found[0] == level
        assert abs(float(found[1].split("clock is ")[1].split()[0]) - off) < 0.9


# -- Dramatiq and its middleware ---------------------------------------------------------------------------

OF_THE_USER = """
import dramatiq
from dramatiq.middleware import GroupCallbacks, Middleware, Pipelines
from dramatiq.rate_limits.backends import StubBackend
from middleware.tracking import Tracking


class Timing(Middleware):
    pass


dramatiq.get_broker().add_middleware(Timing(), before=Tracking)
dramatiq.get_broker().add_middleware(Pipelines())
dramatiq.get_broker().add_middleware(GroupCallbacks(StubBackend()))
"""


def test_middleware_out_of_order(shell: Shell) -> None:
    assert [level for level, _ in findings(shell, "broker")] == ["ok"]
    (shell.folder / "timing.py").write_text(OF_THE_USER)
    shell.environment["WORKFLOWS"] = "plays,timing"
    assert findings(shell, "broker")[:-1] == [
        ("error", "Tracking must be the first middleware, it stands after Timing: add those later"),
        ("error", "Pipelines sends next stages before their time: remove it"),
        ("warning", "GroupCallbacks counts deliveries: a repeated one fires a group's callbacks early"),
    ]
    assert shell.call("doctor").returncode == 2


def test_middleware_that_is_missing(build_application: Any) -> None:
    stock = build_application().broker.middleware
    assert list(judge_middleware(stock)) == []
    without = [each for each in stock if not isinstance(each, (Tracking, Retries))]
    assert [(found.level, found.text.partition(" is")[0]) for found in judge_middleware(without)] == [
        ("error", "Tracking"),
        ("warning", "Retries"),
    ]


@pytest.mark.parametrize(
    ("version", "levels"),
    [
        ("2.1.9", ["error"]),
        ("2.2.0", []),
        (dramatiq.__version__, []),
        ("2.3", ["warning"]),
        ("3.0rc1", ["warning"]),
    ],
)
def test_versions_of_dramatiq(version: str, levels: list[str]) -> None:
    assert [found.level for found in judge_dramatiq(version)] == levels


# -- workers and clock -------------------------------------------------------------------------------------


def test_queues_without_a_worker(redis_url: str, shell: Shell) -> None:
    (shell.folder / "curtains.py").write_text(
        "import plays\nplays.stage(name='Curtain', actor_name='curtain', queue_name='curtains')(print)\n"
    )
    shell.environment["WORKFLOWS"] = "plays,curtains"
    workers = Workers(ThreadClients(redis_url), Keys())
    facts = WorkerFacts("b", "host", 1, ["default", *QUEUES], 4, time.time())
    workers.register("host:1:dead", facts, 1)
    workers.clients.get().delete(Keys().life("host:1:dead"))
    assert findings(shell, "workers") == [
        ("warning", "no worker is at work: chains wait until `callboard up` runs")
    ]
    workers.register("host:2:alive", facts, 60)
    assert findings(shell, "workers") == [
        ("ok", "1 worker process is at work"),
        ("warning", "no worker is on queue curtains: its stages wait; start one with `-Q curtains`"),
    ]


def test_no_clock(redis_url: str, shell: Shell) -> None:
    ((level, text),) = findings(shell, "clock")
    assert (level, text.partition(":")[0]) == ("warning", "no clock is at work")
    with redis.Redis.from_url(redis_url) as client:
        client.set(Keys().sweeper, "a clock", ex=60)
    assert findings(shell, "clock") == [("ok", "a clock is at work")]


def test_versions_of_the_database(build_application: Any, postgres_url: str, monkeypatch: Any) -> None:
    application = build_application(DATABASE_URL=postgres_url)
    assert worries(application, "database") == []
    monkeypatch.setattr("callboard.doctor_stores.OLDEST_POSTGRESQL", 99)
    assert worries(application, "database") == [
        ("warning", "Postgresql before 99 has not been tested; update it")
    ]

"""The faults: each does one thing to the installation under test, for as long as it takes, and undoes it."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis

from callboard.errors import CallboardError

from .observation import Observation, Strike
from .pool import Pool
from .postgres import PostgresServer
from .proxy import Proxy
from .servers import RedisServer

if TYPE_CHECKING:
    from actors.application import Application


@dataclass
class Target:
    """What faults happen to.

    Attributes:
        redis, database: the servers; no database server means SQLite.
        redis_proxy, database_proxy: what the workers' connections go through.
        pool: workers and clock.
        application: of this process, on direct connections.
        seen: where faults are noted.
        lease: seconds of a worker's proof of life.
    """

    redis: RedisServer
    database: PostgresServer | None
    redis_proxy: Proxy
    database_proxy: Proxy | None
    pool: Pool
    application: Application
    seen: Observation
    lease: float
    redis_lock: threading.Lock = field(default_factory=threading.Lock)
    database_lock: threading.Lock = field(default_factory=threading.Lock)


#: What a fault tells of itself: the processes that it hit, and a few words.
Told = tuple[tuple[int, ...], str]
Fault = Callable[[Target, random.Random, "float | None"], Told]


def strike(name: str, target: Target, dice: random.Random, seconds: float | None = None) -> Strike:
    """Let a fault happen, and note it. ``seconds``: how long it takes; chosen by the dice unless given."""
    began = time.time()
    pids, words = FAULTS[name](target, dice, seconds)
    noted = Strike(name, began, time.time(), pids, words)
    target.seen.strikes.append(noted)
    return noted


# -- workers -----------------------------------------------------------------------------------------------


def kill_worker(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """SIGKILL for one worker process; Dramatiq's master ends with it, and is started again."""
    pid = _a_worker(target, dice)
    killed = pid is not None and target.pool.signal(pid, signal.SIGKILL)
    return ((pid,), f"process {pid}") if pid is not None and killed else ((), "none was there")


def kill_tree(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """SIGKILL for all workers and their helpers at once: nobody is left to say so."""
    pids = tuple(target.pool.workers())
    target.pool.kill_tree()
    return pids, f"processes {', '.join(map(str, pids))}"


def restart_workers(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """SIGTERM for all workers, as at a new release: what runs ends in time or is given back."""
    pids = tuple(target.pool.workers())
    target.pool.restart_tree()
    return pids, f"processes {', '.join(map(str, pids))}"


def kill_clock(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """SIGKILL for the clock."""
    target.pool.kill_clock()
    return (), "the clock"


def pause_worker(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """SIGSTOP for a worker process for longer than its lease, then SIGCONT."""
    pid = _a_worker(target, dice)
    if pid is None or not target.pool.signal(pid, signal.SIGSTOP):
        return (), "none was there"
    seconds = seconds or target.lease * dice.uniform(1.2, 1.8)
    time.sleep(seconds)
    target.pool.signal(pid, signal.SIGCONT)
    return (pid,), f"process {pid} for {seconds:.1f} s"


def _a_worker(target: Target, dice: random.Random) -> int | None:
    chance = dice.random()
    workers = target.pool.workers()
    return workers[int(chance * len(workers))] if workers else None


# -- Redis -------------------------------------------------------------------------------------------------


def restart_redis(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """SIGKILL for Redis, and a start with its file a moment later."""
    seconds = seconds or dice.uniform(0.1, 2.0)
    with target.redis_lock:
        target.redis.kill()
        time.sleep(seconds)
        target.redis.start()
    return (), f"away for {seconds:.1f} s"


def lose_redis(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """SIGKILL for Redis, and a start without its file: empty."""
    with target.redis_lock:
        target.redis.kill()
        shutil.rmtree(target.redis.folder / "appendonlydir", ignore_errors=True)
        for file in target.redis.folder.glob("*.[ar][od][fb]"):
            file.unlink()
        target.redis.start()
    return (), "started again empty"


def flush_redis(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """FLUSHALL."""
    with target.redis_lock, redis.Redis.from_url(target.redis.url) as client:
        client.flushall()
    return (), "FLUSHALL"


def pause_redis(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """Redis is stopped for some seconds; connections stay open."""
    seconds = seconds or dice.uniform(1.0, 10.0)
    with target.redis_lock:
        target.redis.pause()
        time.sleep(seconds)
        target.redis.resume()
    return (), f"{seconds:.1f} s"


def cut_redis(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """All connections of the workers to Redis are reset, twice; between, none is taken."""
    seconds = seconds or dice.uniform(0.0, 2.0)
    with target.redis_lock:
        target.redis_proxy.refuse()
        time.sleep(seconds)
        target.redis_proxy.restore()
        target.redis_proxy.cut()
    return (), f"refused for {seconds:.1f} s"


def stall_redis(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """Nothing gets through between the workers and Redis, in either direction; connections stay open."""
    seconds = seconds or dice.uniform(0.5, 8.0)
    with target.redis_lock:
        target.redis_proxy.stall()
        time.sleep(seconds)
        target.redis_proxy.restore()
    return (), f"{seconds:.1f} s"


# -- the database ------------------------------------------------------------------------------------------


def restart_database(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """PostgreSQL ends at once, and starts again some seconds later."""
    assert target.database is not None
    seconds = seconds or dice.uniform(0.5, 6.0)
    with target.database_lock:
        target.database.kill()
        time.sleep(seconds)
        target.database.start()
    return (), f"away for {seconds:.1f} s"


def pause_database(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """PostgreSQL hangs for some seconds; connections stay open."""
    assert target.database is not None
    seconds = seconds or dice.uniform(1.0, 8.0)
    with target.database_lock:
        target.database.pause()
        time.sleep(seconds)
        target.database.resume()
    return (), f"{seconds:.1f} s"


def cut_database(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """All connections of the workers to PostgreSQL are reset."""
    assert target.database_proxy is not None
    with target.database_lock:
        target.database_proxy.cut()
    return (), "reset"


# -- messages ----------------------------------------------------------------------------------------------


def redeliver(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """Everything is delivered again, twice: what runs, what is queued, what is done."""
    from .redelivery import redeliver_everything  # noqa: PLC0415 (it needs the actors to be declared)

    count = 0
    for _ in range(2):
        with suppress(redis.RedisError, CallboardError):
            count += redeliver_everything(target.application, list(target.seen.chains))
    return (), f"{count} messages"


def requeue(target: Target, dice: random.Random, seconds: float | None) -> Told:
    """What workers have in hand goes back to its queue, as if they were dead, twice."""
    from .redelivery import requeue_unacked  # noqa: PLC0415

    count, namespace = 0, getattr(target.application.broker, "namespace", None)
    with suppress(redis.RedisError), redis.Redis.from_url(target.redis.url) as client:
        for _ in range(2 if namespace else 0):
            count += requeue_unacked(client, str(namespace))
            time.sleep(0.2)
    return (), f"{count} messages"


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        kill_worker,
        kill_tree,
        restart_workers,
        kill_clock,
        pause_worker,
        restart_redis,
        lose_redis,
        flush_redis,
        pause_redis,
        cut_redis,
        stall_redis,
        restart_database,
        pause_database,
        cut_database,
        redeliver,
        requeue,
    )
}
#: Those that need a PostgreSQL server.
OF_DATABASE = ("restart_database", "pause_database", "cut_database")

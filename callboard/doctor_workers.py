"""What ``callboard doctor`` says of the broker, its middleware, the workers and the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from dramatiq import Middleware
from dramatiq.middleware import GroupCallbacks, Pipelines, Retries

from db.workers import Workers
from middleware.pipelines import UntrackedPipelines
from middleware.tracking import Tracking

from .findings import Finding, client_of, sleeps
from .settings import without_password

if TYPE_CHECKING:
    from actors.application import Application

#: Versions of Dramatiq that the tests have run with: from the first to before the second.
TESTED_DRAMATIQ = ((2, 2), (2, 3))


def look_at_broker(application: Application) -> Iterator[Finding]:
    """Connection, Dramatiq's version, and the order of the middleware."""
    yield from judge_dramatiq(version("dramatiq"))
    yield from judge_middleware(application.broker.middleware)
    url = application.settings.broker_url or application.board.clients.url
    if url.startswith("amqp"):
        connection = application.broker.connection
        connection.process_data_events()
    yield Finding("ok", "broker", f"{type(application.broker).__name__} on {without_password(url)}")


def judge_dramatiq(text: str) -> Iterator[Finding]:
    """What to say of that version of Dramatiq."""
    number = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    first, beyond = TESTED_DRAMATIQ
    if number < first:
        yield Finding("error", "broker", f"Dramatiq {text}: {first[0]}.{first[1]} or later is needed")
    elif number >= beyond:
        yield Finding("warning", "broker", f"Dramatiq {text} has not been tested; {first[0]}.{first[1]} has")


def judge_middleware(middleware: Sequence[Middleware]) -> Iterator[Finding]:
    """What to say of that order of middleware."""
    names = [type(each).__name__ for each in middleware]
    place = next((place for place, each in enumerate(middleware) if isinstance(each, Tracking)), None)
    if place is None:
        yield Finding(
            "error", "broker", "Tracking is missing: nothing is tracked; use actors.broker.build_broker"
        )
    elif place:
        before = ", ".join(names[:place])
        yield Finding(
            "error",
            "broker",
            f"Tracking must be the first middleware, it stands after {before}: add those later",
        )
    for each in middleware:
        if isinstance(each, Pipelines) and not isinstance(each, UntrackedPipelines):
            yield Finding(
                "error", "broker", f"{type(each).__name__} sends next stages before their time: remove it"
            )
        if isinstance(each, GroupCallbacks):
            yield Finding(
                "warning",
                "broker",
                f"{type(each).__name__} counts deliveries: a repeated one fires a group's callbacks early",
            )
    if not any(isinstance(each, Retries) for each in middleware):
        yield Finding("warning", "broker", "Retries is missing: a stage that has failed is not tried again")


def look_at_workers(application: Application) -> Iterator[Finding]:
    """Who is at work, and on which queues nobody is."""
    if sleeps(application):
        return
    known = Workers(application.board.clients, application.board.keys).known()
    alive = [worker for worker in known if worker.alive_for]
    if not alive:
        yield Finding("warning", "workers", "no worker is at work: chains wait until `callboard up` runs")
        return
    count = "1 worker process is" if len(alive) == 1 else f"{len(alive)} worker processes are"
    yield Finding("ok", "workers", f"{count} at work")
    served = {queue for worker in alive for queue in worker.facts.queues}
    for queue in sorted(application.broker.get_declared_queues() - served):
        yield Finding(
            "warning",
            "workers",
            f"no worker is on queue {queue}: its stages wait; start one with `-Q {queue}`",
        )


def look_at_clock(application: Application) -> Iterator[Finding]:
    """Whether one runs."""
    if sleeps(application):
        return
    if client_of(application).exists(application.board.keys.sweeper):
        yield Finding("ok", "clock", "a clock is at work")
    else:
        yield Finding(
            "warning",
            "clock",
            "no clock is at work: what dead workers held stays there until `python -m actors.clock` runs",
        )

"""Whether a workflow can run: what its stages import may belong to an extra that is not installed.

A process that starts chains need not have what their stages import: an API is often deployed without it. So
the workers decide. Each tells in the registry which of its workflows lack something; a start is refused when
all those at work on the workflow's queues do. Where none is at work, this process answers for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import redis

from callboard.errors import BoardUnavailable, ExtraMissing
from db.workers import KnownWorker, Workers

if TYPE_CHECKING:
    from .application import Application
    from .workflow import AnyActor, Workflow


def missing(modules: Iterable[str]) -> list[str]:
    """Those of the modules that are not installed here. None of them is imported."""
    return [name for name in modules if not _is_installed(name)]


def lacking(workflows: Iterable[Workflow]) -> dict[str, list[str]]:
    """The workflows that cannot run in this process, by name, each with the modules that it lacks."""
    return {workflow.name: gone for workflow in workflows if (gone := missing(workflow.needs))}


def workers_of(application: Application) -> list[KnownWorker]:
    """The registry of workers.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    return Workers(application.board.clients, application.board.keys).known()


def shortage(workflow: Workflow, workers: Iterable[KnownWorker]) -> ExtraMissing | None:
    """Why a chain of it would fail just now, as the error that a start raises; None where it would not.

    Parameters:
        workers: those of the registry; none, where only this process counts.
    """
    if not workflow.needs:
        return None
    queues = {actor.queue_name for stage in workflow.stages for actor in stage.actors}
    serving = [
        worker.facts for worker in workers if worker.alive_for and not queues.isdisjoint(worker.facts.queues)
    ]
    if not serving:
        gone = missing(workflow.needs)
        return ExtraMissing(workflow.name, gone, workflow.extra, "here") if gone else None
    lacks = [facts.unavailable.get(workflow.name, []) for facts in serving]
    return ExtraMissing(workflow.name, lacks[0], workflow.extra, "workers") if all(lacks) else None


def shortages(application: Application) -> dict[str, ExtraMissing]:
    """What cannot be started just now, by name. While Redis is away only this process counts."""
    try:
        workers = workers_of(application)
    except redis.RedisError:
        workers = []
    found = {name: shortage(workflow, workers) for name, workflow in application.workflows.items()}
    return {name: short for name, short in found.items() if short is not None}


def check(workflow: Workflow) -> None:
    """Refuse to start what would fail.

    Raises:
        ExtraMissing: the workers at work on its queues, or this process where there is none, lack an extra.
        BoardUnavailable: Redis does not answer.
    """
    if not workflow.needs:
        return
    try:
        workers = workers_of(workflow.application)
    except redis.RedisError as error:
        raise BoardUnavailable(f"Redis does not answer, nothing was started: {error}") from error
    refused = shortage(workflow, workers)
    if refused is not None:
        raise refused


def guard(actor: AnyActor, application: Application) -> None:
    """Let a stage fail before its first line, and for good, where what its workflow needs is not installed.

    An actor of several workflows needs no more than what all of them declare.
    """
    body: Callable[..., Any] = actor.fn

    @wraps(body)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        users = [
            workflow
            for workflow in application.workflows.values()
            if any(actor is member for stage in workflow.stages for member in stage.actors)
        ]
        gone = missing(set.intersection(*(set(workflow.needs) for workflow in users)))
        if gone:
            raise ExtraMissing(users[0].name, sorted(gone), users[0].extra, "here")
        return body(*args, **kwargs)

    actor.fn = guarded
    expected = actor.options.get("throws") or ()
    actor.options["throws"] = (*(expected if isinstance(expected, tuple) else (expected,)), ExtraMissing)


def _is_installed(name: str) -> bool:
    if sys.modules.get(name) is not None:
        return True
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # the package around it is missing; a half-made module
        return False

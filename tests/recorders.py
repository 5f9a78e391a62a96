"""What the recorder's tests share: events, and recorders that hold some."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import redis

from actors.application import Application
from db.models import TaskLog
from db.workers import WorkerFacts, Workers
from middleware.recorder import Recorder


def note(application: Application, task_id: str, **more: Any) -> bytes:
    """An event of a task of no chain; returns its id in the stream."""
    task = {"task": task_id, "actor": "a", "status": "STARTED", **more}
    fields: dict[Any, Any] = {"chain": "", "seq": 1, "task": json.dumps(task)}
    added: Any = application.board.clients.get().xadd(application.board.keys.events, fields)
    return bytes(added)


def tasks(application: Application) -> set[str]:
    """Those that the ledger has."""
    return {row.task_id for row in TaskLog.select().execute(application.database)}


def held(application: Application) -> dict[str, int]:
    """How many events each recorder of the group holds."""
    client, keys = application.board.clients.get(), application.board.keys
    found: Any = client.xinfo_consumers(keys.events, keys.recorders)
    return {consumer["name"].decode(): consumer["pending"] for consumer in found}


def recorder_of(application: Application, **options: Any) -> Recorder:
    return Recorder(application.board.clients.url, application.board.keys, application.ledger, **options)


def take_away(application: Application, worker_id: str, count: int, *, registered: bool = True) -> None:
    """A worker's recorder reads that many events, and writes none."""
    client, keys = application.board.clients.get(), application.board.keys
    if registered:
        facts = WorkerFacts("", "host", 1, ["default"], 1, 0.0)
        Workers(application.board.clients, keys).register(worker_id, facts, 30)
    with suppress(redis.ResponseError):
        client.xgroup_create(keys.events, keys.recorders, id="0", mkstream=True)
    for number in range(count):
        note(application, f"{worker_id}-{number}")
    client.xreadgroup(keys.recorders, worker_id, {keys.events: ">"}, count=10_000)
    assert held(application).get(worker_id, 0) == count

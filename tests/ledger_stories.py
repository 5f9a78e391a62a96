"""Chains as the board tells them, and what the tables hold."""

from __future__ import annotations

import json
from typing import Any

import peewee

from db.connection import session
from db.events import Event
from db.models import MODELS

CREATED = 1_640_995_200.125
PLAN: list[dict[str, Any]] = [
    {
        "stage_name": name,
        "tasks": [{"task_id": f"c1-t{number}", "task_name": f"pipeline.{name}", "queue_name": "default"}],
    }
    for number, name in enumerate(["ocr", "llm", "layout", "excel"], start=1)
]


def chain_fields(chain_id: str, seq: int, **more: object) -> dict[str, object]:
    return {
        "chain": chain_id,
        "seq": seq,
        "name": "cr_extract_workflow",
        "total": 4,
        "status": "STARTED",
        "completed": 0,
        "failed": 0,
        "revoked": 0,
        "created": CREATED,
        **more,
    }


def entry(fields: dict[str, object]) -> dict[bytes, bytes]:
    """The stream entry that says ``fields``; None and empty ones are left out, as the board does."""
    told = {name: value for name, value in fields.items() if value not in (None, "")}

    def pick(*names: str, prefix: str = "") -> str:
        return json.dumps({name: told[prefix + name] for name in names if prefix + name in told})

    entry: dict[str, object] = {
        "chain": fields["chain"],
        "facts": pick("name", "total", "created", "batch", "by", "channel") if fields["chain"] else "",
        "seq": fields["seq"],
        "state": pick("status", "completed", "failed", "revoked", "started", "finished", "error"),
    }
    if "task" in told:
        entry["place"] = f"{told.get('stage', 1)}.{told.get('member', 0)}"
        own = {name.removeprefix("task_"): value for name, value in told.items() if name.startswith("task_")}
        for name in ("task", "actor", "retries", "attempt", "worker", "metadata", "progress"):
            if name in told:
                own[name] = told[name]
        entry["task"] = json.dumps(own)
    entry |= {name: told[name] for name in ("final", "result", "traceback") if name in told}
    return {name.encode(): str(value).encode() for name, value in entry.items()}


def event(fields: dict[str, object]) -> Event:
    """The event that says ``fields``, by the way of the stream's bytes."""
    return Event.from_fields(entry(fields))


def story(chain_id: str) -> list[Event]:
    """A chain of four: retried in its second stage, failed, resumed, succeeded."""
    steps: list[tuple[dict[str, object], dict[str, object]]] = []

    def step(stage: int, status: str, chain: dict[str, object], **more: object) -> None:
        number = len(steps) + 1
        task = {
            "task": f"{chain_id}-t{stage}",
            "actor": f"pipeline.{PLAN[stage - 1]['stage_name']}",
            "stage": stage,
            "member": 0,
            "task_status": status,
            "task_started": CREATED + stage,
            "attempt": 1,
            "worker": "host:1",
            **more,
        }
        steps.append((chain_fields(chain_id, number, started=CREATED + 1, **chain), task))

    def succeed(stage: int, **chain: object) -> None:
        done = {"completed": stage - 1}
        step(stage, "STARTED", done)
        step(stage, "RUNNING", done, metadata='{"substep":"half","pages":3}', progress=50)
        step(
            stage,
            "SUCCESS",
            {"completed": stage, **chain},
            task_finished=CREATED + stage + 0.5,
            metadata='{"substep":"half","execution_time":0.5}',
            result=json.dumps({"z": stage, "a": [1, None]}),
        )

    succeed(1)
    step(2, "STARTED", {"completed": 1})
    step(2, "RETRY", {"completed": 1}, retries=1, task_error="first", traceback="Traceback…")
    failed: dict[str, object] = {"completed": 1, "failed": 1, "status": "FAILURE", "finished": CREATED + 9}
    step(2, "FAILURE", {**failed, "error": "boom"}, retries=1, task_error="boom", task_finished=CREATED + 9)
    step(2, "PENDING", {"completed": 1, "failed": 0})
    succeed(2)
    succeed(3)
    succeed(4, status="SUCCESS", finished=CREATED + 12, final='{"url":"file:///x.xlsx"}')
    return [event({**chain, **task}) for chain, task in steps]


def dump(database: peewee.Database) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables but their ids, in the order of their keys."""
    content = {}
    with session(database):
        for model, key in zip(MODELS, ("chain_id", "task_id", "batch_id", "batch_id"), strict=True):
            rows = list(model.select().order_by(getattr(model, key)).dicts().execute(database))
            for row in rows:
                del row["id"]
            content[model.__name__] = rows
    return content

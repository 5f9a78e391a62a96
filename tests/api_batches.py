"""What the API's tests of batches share: a workflow to go through, and questions about the images."""

from __future__ import annotations

import csv
import io
import itertools
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dramatiq
from api_server import Api
from waiting import wait_until

from actors.application import Application
from actors.batches import chunks
from actors.batches.start import start_batch_pipeline
from actors.workflow import Workflow, stage
from db.batches.facts import BatchFacts
from db.batches.ledger import chain_id_of, create, read
from db.connection import session
from db.models import BatchExecution, ChainExecution, TaskLog


class Shop:
    """A workflow of two stages on the API's application; a file named ``bad…`` fails in the second.

    ``seconds``: what the first stage takes; ``gate``: while it is closed, the second waits, but for the first
    ``free`` images to come.
    """

    def __init__(self, application: Application, folder: Path) -> None:
        self.application = application
        self.folder = folder
        self.seconds = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.free = 0
        numbers = itertools.count()
        chunks.declare(application.broker)

        @stage(name="읽기", actor_name="read", max_retries=0)
        def read(document: dict[str, Any]) -> dict[str, Any]:
            time.sleep(self.seconds)
            return document

        @stage(name="쓰기", actor_name="write", max_retries=0)
        def write(document: dict[str, Any]) -> None:
            number = next(numbers)
            while number >= self.free and not self.gate.wait(0.02):
                pass
            if Path(document["file_path"]).name.startswith("bad"):
                raise ValueError("no page\nin this file")

        Workflow("shop", [read, write])
        self.heard: list[Any] = []
        dramatiq.actor(actor_name="heard", broker=application.broker)(self.heard.append)

    def files(self, count: int, name: str = "image") -> list[str]:
        paths = [self.folder / f"{name}-{number}.png" for number in range(count)]
        for path in paths:
            path.touch()
        return [str(path) for path in paths]

    def start(self, files: list[str], **options: Any) -> str:
        return start_batch_pipeline(
            "october", files, workflow="shop", application=self.application, **options
        )


def ended(api: Api, batch_id: str, timeout: float = 60) -> dict[str, Any]:
    """The batch's facts once it has ended, and row and board have noted it."""

    def look() -> dict[str, Any]:
        live, row = api.application.batches.read(batch_id), read(api.application.database, batch_id)
        if row is None or not row.finished_at or (live is not None and not live.finished):
            return {}
        found: dict[str, Any] = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
        return found if found["finished_at"] else {}

    return wait_until(look, timeout, "the batch has not ended", 0.05)


def items(api: Api, batch_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/pipeline/batch/{batch_id}/items{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def lines(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def fill(application: Application, images: int) -> None:
    """A batch ``big`` of so many images in the ledger; each has one task, and one in twenty has failed."""
    facts = BatchFacts("big", "shop", images, 100, 1, "default", 1.0, 1_700_000_000.0)
    create(application.database, "big", facts, {}, [(f"/in/{number}.png", None) for number in range(images)])
    stages = [
        {"stage_name": name, "tasks": [{"task_id": "x", "task_name": "x"}]} for name in ("읽기", "쓰기")
    ]
    moment, ends = datetime(2025, 1, 1), datetime(2025, 1, 1, 0, 0, 2)
    with session(application.database) as database:
        for start in range(0, images, 1000):
            chains, tasks = [], []
            for number in range(start, start + 1000):
                bad = number % 20 == 0
                status = "FAILURE" if bad else "SUCCESS"
                chains.append(
                    {
                        "id": number + 1,
                        "chain_id": chain_id_of("big", number),
                        "chain_name": "shop",
                        "status": status,
                        "batch_id": "big",
                        "created_at": moment,
                        "started_at": moment,
                        "finished_at": ends,
                        "error_message": "no page\nat all" if bad else None,
                        "stages": stages,
                    }
                )
                tasks.append(
                    {
                        "task_id": f"t{number}",
                        "task_name": "read",
                        "status": status,
                        "stage": 1,
                        "started_at": moment,
                        "finished_at": moment + timedelta(milliseconds=number % 1000),
                        "chain_execution": number + 1,
                        "error": "no page\nat all" if bad else None,
                        "retries": number % 3,
                    }
                )
            ChainExecution.insert_many(chains).execute(database)
            TaskLog.insert_many(tasks).execute(database)
        BatchExecution.update(
            status="FAILURE",
            completed_images=images - images // 20,
            failed_images=images // 20,
            started_at=moment,
            finished_at=datetime(2025, 1, 1, 1),
        ).execute(database)

"""What the tests of batches share: an application with a small workflow, and files for it."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

from waiting import wait_until

from actors.application import Application
from actors.batches import chunks
from actors.batches.start import start_batch_pipeline
from actors.batches.status import BatchStatus, batch_status
from actors.sweep import Sweep
from actors.workflow import Workflow, stage
from db.batches.ledger import read
from db.batches.live import LiveBatch
from db.models import BatchExecution

GATE_SECONDS = 60


class Shop:
    """An application with a workflow of two small stages.

    A file whose name starts with ``bad`` fails in the first stage, one with ``late`` in the second, as long
    as it is empty; while ``gate`` is closed the first stage waits, for a minute at most.

    Attributes:
        free: so many images pass the gate though it is closed, the first ones to come.
        ran: the files that the first stage has had.
        ran_second: those that the second stage has had.
    """

    def __init__(self, application: Application, folder: Path) -> None:
        self.application = application
        self.folder = folder
        self.ran: list[str] = []
        self.ran_second: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.free = 0
        numbers = itertools.count()
        self.actor = chunks.declare(application.broker)

        @stage(name="First", actor_name="first", max_retries=0)
        def first(document: dict[str, Any]) -> dict[str, Any]:
            number = next(numbers)
            self.ran.append(document["file_path"])
            # In pieces, so that it can be interrupted; not for ever, so that a failed test ends.
            any(number < self.free or self.gate.wait(0.05) for _ in range(GATE_SECONDS * 20))
            if _is_broken(document, "bad"):
                raise ValueError("bad")
            return document

        @stage(name="Second", actor_name="second", max_retries=0)
        def second(document: dict[str, Any]) -> str:
            self.ran_second.append(document["file_path"])
            if _is_broken(document, "late"):
                raise ValueError("late\nmore of it")
            return str(document["file_path"])

        Workflow("small", [first, second])

    def files(self, count: int, name: str = "image") -> list[str]:
        paths = [self.folder / f"{name}-{number}.png" for number in range(count)]
        for path in paths:
            path.touch()
        return [str(path) for path in paths]

    def mend(self, files: list[str]) -> None:
        for file in files:
            Path(file).write_text("mended")

    def start(self, files: list[str], **options: Any) -> str:
        return start_batch_pipeline(
            "a batch", files, workflow="small", application=self.application, **options
        )

    def status(self, batch_id: str) -> BatchStatus:
        return batch_status(batch_id, application=self.application)

    def ended(self, batch_id: str, timeout: float = 60) -> BatchStatus:
        wait_until(lambda: self.row(batch_id).finished_at, timeout, "the batch has not ended", 0.05)

        # The row is written first, the board a moment later.
        def look() -> BatchStatus | None:
            status = self.status(batch_id)
            return status if self.live(batch_id).finished else None

        status = wait_until(look, timeout, "the board does not say so")
        assert status is not None
        return status

    def sweep_to_the_end(self, batch_id: str) -> None:
        """Sweep as a clock does until the batch has ended."""
        sweep = Sweep(self.application)

        def swept() -> Any:
            sweep.tick()
            return self.row(batch_id).finished_at

        wait_until(swept, 90, "the batch has not ended", 0.3)

    def live(self, batch_id: str) -> LiveBatch:
        live = self.application.batches.read(batch_id)
        assert live is not None
        return live

    def row(self, batch_id: str) -> BatchExecution:
        row = read(self.application.database, batch_id)
        assert row is not None
        return row

    def count(self, model: Any) -> int:
        return int(model.select().count(self.application.database))


def _is_broken(document: dict[str, Any], name: str) -> bool:
    path = Path(document["file_path"])
    return path.name.startswith(name) and not path.stat().st_size


def counts(status: BatchStatus | BatchExecution) -> tuple[int, int, int]:
    return status.completed_images, status.failed_images, status.revoked_images

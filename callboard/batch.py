"""``callboard batch``: which files, and the batch shown until it has ended."""

from __future__ import annotations

import glob
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .errors import CallboardError
from .terminal import complain, show

if TYPE_CHECKING:
    from actors.application import Application
    from actors.batches import BatchStatus

#: Seconds between two looks.
INTERVAL = 0.5


def files_of(named: list[str], pattern: str | None, manifest: str | None) -> list[str]:
    """The files that the command names in its three ways, local ones with their whole path.

    Raises:
        CallboardError: the manifest cannot be read, or nothing matches the pattern.
    """
    found = list(named)
    if pattern is not None:
        matches = sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())
        if not matches:
            raise CallboardError(f"--glob: no file matches {pattern!r}")
        found += matches
    if manifest is not None:
        found += _lines(manifest)
    return [path if "://" in path else str(Path(path).resolve()) for path in found]


def _lines(manifest: str) -> list[str]:
    try:
        text = sys.stdin.read() if manifest == "-" else Path(manifest).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CallboardError(f"--manifest: cannot read {manifest}: {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def follow_batch(application: Application, batch_id: str, as_json: bool) -> bool:
    """Show a batch whenever it has moved, until it has ended. Returns whether it has succeeded."""
    from actors.batches import batch_status  # noqa: PLC0415 (loads everything)

    last = None
    try:
        while True:
            status = batch_status(batch_id, application=application)
            facts = _facts(status)
            if facts != last:
                show(facts, _words(status), as_json)
                last = facts
            if status.finished_at is not None:
                return status.status == "SUCCESS"
            time.sleep(INTERVAL)
    except KeyboardInterrupt:
        complain(f"batch {batch_id} goes on")
        raise typer.Exit(130) from None


def _facts(status: BatchStatus) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(status).items()
    }


def _words(status: BatchStatus) -> str:
    ended = status.completed_images + status.failed_images + status.revoked_images
    more = [f"{status.failed_images} failed"] if status.failed_images else []
    more += [f"{status.revoked_images} revoked"] if status.revoked_images else []
    return f"{status.batch_name}: {status.status} {ended} of {status.total_images} images" + "".join(
        f", {one}" for one in more
    )

"""``callboard batch``: which files, and the batch shown until it has ended."""

from __future__ import annotations

import glob
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from .batch_views import BatchBar, BatchJson, BatchLines, BatchView, words
from .errors import CallboardError, LedgerUnavailable
from .follow import Patience, WaitsForWorkers
from .terminal import complain

if TYPE_CHECKING:
    from actors.application import Application
    from actors.batches.status import BatchStatus
    from db.batches.items import BatchItem

#: Seconds between two looks.
INTERVAL = 0.5
#: Failures that are shown one by one; of more the count tells.
MOST_FAILURES = 36


def files_of(
    named: list[str], matching: str | None, manifest: str | None, prefix: str | None, pattern: str | None
) -> list[str]:
    """The files that the command names in its four ways.

    Parameters:
        matching: pattern of files of this machine, as a shell has it.
        manifest: a file that names one a line; ``-`` reads standard input.
        prefix: a folder, or a prefix of a storage, with all that is below it.
        pattern: of the names below the prefix.

    Raises:
        CallboardError: none is named, the manifest cannot be read, or nothing matches the pattern.
        BatchError, StorageUnavailable: the prefix cannot be listed, or holds nothing.
    """
    from actors.batches.files import files_under  # noqa: PLC0415 (loads everything)

    if pattern is not None and prefix is None:
        raise CallboardError("--pattern: goes with --prefix; --glob takes patterns of its own")
    found = list(named)
    if matching is not None:
        matches = sorted(path for path in glob.glob(matching, recursive=True) if Path(path).is_file())
        if not matches:
            raise CallboardError(f"--glob: no file matches {matching!r}")
        found += matches
    if manifest is not None:
        found += lines_of(manifest, "--manifest")
    if not named and (matching, manifest, prefix) == (None, None, None):
        raise CallboardError("a batch needs files: name them, or give --glob, --manifest or --prefix")
    if prefix is None:
        return found
    below = files_under(prefix, pattern)
    return [*found, *below] if found else below


def lines_of(manifest: str, option: str) -> list[str]:
    """The lines of a file that are not empty.

    Raises:
        CallboardError: it cannot be read.
    """
    try:
        text = sys.stdin.read() if manifest == "-" else Path(manifest).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CallboardError(f"{option}: cannot read {manifest}: {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def number_of(text: str | None) -> Any:
    """The number that an option names; what is none stays as it is, and the start of the batch refuses it."""
    for kind in (int, float):
        try:
            return None if text is None else kind(text)
        except ValueError:
            continue
    return text


def follow_batch(application: Application, batch_id: str, as_json: bool) -> bool:
    """Show a batch until it has ended. Returns whether it has succeeded.

    Raises:
        UnknownBatch: there is none.
        LedgerUnavailable: the database has been away for a minute.
    """
    view, screen = _view(as_json)
    failures, look = _Failures(application, batch_id), _Look(application, batch_id)
    waits_for_workers = WaitsForWorkers(application.board, "batch")
    try:
        with screen:
            while True:
                status = look.patiently()
                if status is not None:
                    for item in failures.new(status):
                        view.failure(item)
                    if failures.say_more(status):
                        view.note(f"… and more: `callboard batch-items {batch_id} --status failed`")
                    view.update(status)
                    if status.finished_at is not None:
                        break
                    waits_for_workers.note(status.status)
                time.sleep(INTERVAL)
    except KeyboardInterrupt:
        complain(f"batch {batch_id} goes on; `callboard status {batch_id} --follow` shows it again")
        raise typer.Exit(130) from None
    if isinstance(view, BatchBar):
        print(f"{words(status)} ({batch_id})")
    return status.status == "SUCCESS"


def show_batch(application: Application, batch_id: str, as_json: bool) -> bool:
    """Show a batch once. Returns False when it has failed or was revoked.

    Raises:
        UnknownBatch: there is none.
        LedgerUnavailable: the database does not answer.
    """
    from actors.batches.status import batch_status  # noqa: PLC0415

    status = batch_status(batch_id, application=application)
    view = BatchJson() if as_json else BatchLines()
    view.update(status)
    return status.status not in ("FAILURE", "REVOKED")


def _view(as_json: bool) -> tuple[BatchView, AbstractContextManager[Any]]:
    console = Console(file=sys.stdout)
    if as_json:
        return BatchJson(), nullcontext()
    if not console.is_terminal:
        return BatchLines(), nullcontext()
    bar = BatchBar(console)
    return bar, bar.progress


class _Look:
    """Reads a batch; bridges over an outage of the ledger where Redis is away, too."""

    def __init__(self, application: Application, batch_id: str) -> None:
        self._application = application
        self._batch_id = batch_id
        self._patience = Patience()

    def patiently(self) -> BatchStatus | None:
        from actors.batches.status import batch_status  # noqa: PLC0415

        try:
            status = batch_status(self._batch_id, application=self._application)
        except LedgerUnavailable as error:
            if self._patience.is_over(f"{error}; waiting for it"):
                raise
            return None
        self._patience.back()
        return status


class _Failures:
    """The images that have failed since the last look, the first ones each."""

    def __init__(self, application: Application, batch_id: str) -> None:
        self._application = application
        self._batch_id = batch_id
        self._told: set[int] = set()
        self._count = 0
        self._said = False

    def new(self, status: BatchStatus) -> Iterator[BatchItem]:
        from actors.batches.items import list_items  # noqa: PLC0415

        if status.failed_images == self._count or len(self._told) >= MOST_FAILURES:
            return
        try:
            listing = list_items(self._batch_id, "failed", application=self._application)
            new = [index for index in listing.wanted if index not in self._told]
            shown = new[: MOST_FAILURES - len(self._told)]
            items = replace(listing, wanted=shown).page(0, len(shown))
        except LedgerUnavailable:
            return  # at the next look
        self._count = status.failed_images
        self._told.update(shown)
        yield from items

    def say_more(self, status: BatchStatus) -> bool:
        """Whether there are more than are shown, once."""
        full = len(self._told) >= MOST_FAILURES
        more = full and status.failed_images > len(self._told) and not self._said
        self._said = self._said or more
        return more

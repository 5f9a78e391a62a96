"""Folders on this machine for what is not whole yet; none stays, however the work on it ends."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: How their names begin; seconds after which one whose lock nobody holds is nobody's.
SCRATCH, SCRATCH_AGE = "callboard-scratch-", 60.0


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what is not whole yet, gone with the block.

    What a worker that was killed has left is removed by a later call on the same machine: nobody holds the
    folder's lock any more.
    """
    _remove_left_behind()
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH))
    try:
        with (folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except BaseException:
            # An exception that another thread raises in this one may come just now.
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _remove_left_behind() -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*/.lock"):
        with suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - lock.stat().st_mtime < SCRATCH_AGE:
                continue  # it may just be coming into being
            shutil.rmtree(lock.parent, ignore_errors=True)

"""Files of a storage, asked for in bulk: by listing their folder where many lie in one, else one by one."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any

from callboard.errors import StorageUnavailable

#: Seconds that asking for the files of a batch may take. Of what is left, the chains tell.
SECONDS = 5.0
#: Files in one folder from which on the folder is listed.
LISTED_FROM = 20
#: Requests at a time.
THREADS = 32
#: Files that are missing, after which no more are asked for.
ENOUGH = 20
_REASON = 300


class Remote:
    """Files to ask for.

    Attributes:
        unasked: how many of them :meth:`missing` has had no time for.
    """

    def __init__(self) -> None:
        self.unasked = 0
        self._systems: dict[int, Any] = {}
        self._folders: defaultdict[tuple[int, str], dict[str, str]] = defaultdict(dict)

    def add(self, file_system: Any, path: str, url: str) -> None:
        """A file of that path, to be named by its URL."""
        self._systems[id(file_system)] = file_system
        self._folders[id(file_system), path.rpartition("/")[0]][path] = url

    def missing(self) -> dict[str, str]:
        """What is wrong, by URL, with files that are not there or are no files; of many, not all.

        Raises:
            StorageUnavailable: the storage does not answer, or does not let us in.
        """
        round_ = _Round()
        for (system, folder), files in self._folders.items():
            file_system = self._systems[system]
            # What a driver knows from before may not be so any more.
            file_system.invalidate_cache()
            round_.ask(file_system, folder, files)
        missing = round_.result()
        self.unasked = 0 if missing else round_.open
        return missing


class _Round:
    """One round of questions, by some threads. ``open``: files of which nothing is known yet."""

    def __init__(self) -> None:
        self.open = self._all = 0
        self._jobs: deque[Callable[[], None]] = deque()
        self._missing: dict[str, str] = {}
        self._error: Exception | None = None
        self._over = False
        self._changed = threading.Condition()

    def ask(self, file_system: Any, folder: str, files: dict[str, str]) -> None:
        self.open += len(files)
        self._all += len(files)
        if len(files) >= LISTED_FROM:
            # The list of a large folder takes long; one file tells soon whether anybody answers.
            first = next(iter(files))
            self._ask_each(file_system, {first: files[first]})
            rest = {path: url for path, url in files.items() if path != first}
            self._jobs.append(partial(self._list, file_system, folder, rest))
        else:
            self._ask_each(file_system, files)

    def result(self) -> dict[str, str]:
        # Not a pool: that would keep the process from ending until the last answer is there.
        for _ in range(min(THREADS, self.open)):
            threading.Thread(target=self._work, name="remote-files", daemon=True).start()
        with self._changed:
            self._changed.wait_for(self._is_over, timeout=SECONDS)
            self._over = True
            self._changed.notify_all()
            if self._error is not None:
                raise unavailable(self._error)
            if self.open == self._all > 0:
                raise unavailable(TimeoutError(f"no answer within {SECONDS:g} s"))
            return dict(self._missing)

    def _is_over(self) -> bool:
        return self._over or not self.open or self._error is not None or len(self._missing) >= ENOUGH

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._is_over())
                if self._is_over():
                    self._changed.notify_all()
                    return
                job = self._jobs.popleft()
            job()

    def _list(self, file_system: Any, folder: str, files: dict[str, str]) -> None:
        try:
            listed = file_system.ls(folder, detail=True)
        except Exception:
            # No such folder, or none that can be listed: each file tells.
            listed = []
        there = {entry["name"] for entry in listed if entry["type"] != "directory"} & files.keys()
        with self._changed:
            self.open -= len(there)
            self._ask_each(file_system, {path: url for path, url in files.items() if path not in there})
            self._changed.notify_all()

    def _ask_each(self, file_system: Any, files: dict[str, str]) -> None:
        self._jobs.extend(partial(self._ask, file_system, path, url) for path, url in files.items())

    def _ask(self, file_system: Any, path: str, url: str) -> None:
        wrong, error = "", None
        try:
            if file_system.info(path)["type"] == "directory":
                wrong = "a folder, not a file"
        except (FileNotFoundError, NotADirectoryError):
            wrong = "no such file"
        except PermissionError:
            wrong = "it cannot be read"
        except Exception as problem:
            error = problem
        with self._changed:
            self.open -= 1
            self._error = self._error or error
            if wrong:
                self._missing[url] = wrong
            self._changed.notify_all()


def find(file_system: Any, root: str) -> list[str]:
    """The paths of all files below a folder; none where there is no such folder.

    Raises:
        StorageUnavailable: the storage does not answer, or does not let us in.
    """
    file_system.invalidate_cache()
    try:
        found: list[str] = file_system.find(root)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except Exception as error:
        raise unavailable(error) from error
    finally:
        # Some drivers keep what they have listed; it may be much.
        file_system.invalidate_cache()
    return found


def unavailable(error: Exception) -> StorageUnavailable:
    """What to say of a driver's error. Each driver raises its own."""
    reason = " ".join(str(error).split())[:_REASON]
    return StorageUnavailable(
        f"the storage does not answer or does not let us in, nothing was started: {type(error).__name__}"
        f"{f' ({reason})' if reason else ''}"
    )

"""What a stage returns: JSON for the board, or a file in the storage where that would be too large.

In the place of a large result stands a reference, ``{"callboard_result": url, "bytes": size}``. Board, ledger
and messages carry the reference; the next stage is called with the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from callboard.errors import ResultError
from db.chains import encode

from .run import Run

REFERENCE = "callboard_result"


@dataclass(frozen=True)
class Results:
    """Turns results into JSON, and references into values.

    Attributes:
        limit: bytes of JSON that the board is given.
        write: stores a run's result (bytes of JSON) and returns its URL.
        read: the value in a stored file.
    """

    limit: int
    write: Callable[[Run, bytes], str]
    read: Callable[[str], Any]

    def dump(self, run: Run, result: Any) -> str:
        """The JSON that stands for what a run has returned.

        Raises:
            ResultError: the result is not JSON.
            Exception: the storage cannot take it.
        """
        try:
            text = encode(result)
        except (TypeError, ValueError, RecursionError) as error:
            raise ResultError(f"{run.stage_name} returned what is not JSON: {error}") from None
        # A character has up to four bytes: most results are known to fit without counting.
        if len(text) * 4 <= self.limit and not _has_reference(result):
            return text
        data = text.encode()
        if len(data) <= self.limit and not _has_reference(result):
            return text
        return encode({REFERENCE: self.write(run, data), "bytes": len(data)})

    def arguments(self, run: Run, given: Sequence[Any]) -> list[Any]:
        """What a stage is called with: references replaced by values, also those in a list.

        The first stage is given what somebody sent, not what a stage returned: nothing in it is a reference.

        Raises:
            Exception: the storage does not have it.
        """
        return list(given) if run.place.stage == 1 else [self._load(argument) for argument in given]

    def _load(self, argument: Any) -> Any:
        if isinstance(argument, dict) and REFERENCE in argument:
            return self.read(argument[REFERENCE])
        if isinstance(argument, list):
            return [self._load(element) if isinstance(element, dict) else element for element in argument]
        return argument


def _has_reference(result: Any) -> bool:
    """Whether what a stage has returned would be read as a reference. As a file it is handed on as it is."""
    parts = result if isinstance(result, (list, tuple)) else [result]
    return any(isinstance(part, dict) and REFERENCE in part for part in parts)

"""What a loop that lives for ever says of an outage: one line when it begins, one when it is over."""

from __future__ import annotations

import logging


class Outage:
    """Of one loop.

    Parameters:
        logger: where it says so.
        name: the loop's, as a sentence begins with it.
    """

    def __init__(self, logger: logging.Logger, name: str) -> None:
        self._logger = logger
        self._name = name
        self._lasts = False

    def note(self, error: Exception) -> None:
        """A server does not answer."""
        if not self._lasts:
            self._logger.warning("%s waits: %s", self._name, error)
        self._lasts = True

    def end(self) -> None:
        """All answer."""
        if self._lasts:
            self._logger.info("%s goes on.", self._name)
        self._lasts = False

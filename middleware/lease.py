"""Leases: proof that a run is alive, renewed from a thread of the worker process.

A second delivery of a message is put off for as long as the first one's run is known to be alive.
"""

from __future__ import annotations

import threading

import redis
from dramatiq.logging import get_logger

from db.board import Board, Place
from db.keys import LEASE_TTL

#: Seconds between two renewals: two may fail before a lease runs out.
RENEWAL_INTERVAL = LEASE_TTL / 3


class LeaseKeeper:
    """Renews the leases of this process's runs from their begin until their messages are settled."""

    def __init__(self, board: Board) -> None:
        self.logger = get_logger(__name__, type(self))
        self.board = board
        self._held: dict[tuple[Place, str], None] = {}
        self._stop_asked = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._stop_asked.clear()
        threading.Thread(target=self._keep, name="leases", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end."""
        self._stop_asked.set()

    def hold(self, place: Place, token: str) -> None:
        """Renew the lease of a run from now on."""
        self._held[place, token] = None

    def release(self, place: Place, token: str) -> None:
        """Renew it no longer."""
        self._held.pop((place, token), None)

    def _keep(self) -> None:
        in_outage = False
        while not self._stop_asked.wait(RENEWAL_INTERVAL):
            held = list(self._held)
            if not held:
                continue
            try:
                self.board.renew(held)
                in_outage = False
            except redis.RedisError as error:
                if not in_outage:
                    self.logger.warning("Leases cannot be renewed while Redis is away: %s", error)
                in_outage = True

"""Leases: proof that a run is alive, renewed from a thread of the worker process.

A second delivery of a message is put off for as long as the first one's run is known to be alive.
"""

from __future__ import annotations

import threading
from typing import Any

import redis
from dramatiq import Broker, MessageProxy
from dramatiq.logging import get_logger
from dramatiq.middleware import Middleware

from db.board import Board
from db.keys import LEASE_TTL

from .run import run_of

#: Seconds between two renewals: two may fail before a lease runs out.
RENEWAL_INTERVAL = LEASE_TTL / 3


class LeaseKeeper(Middleware):
    """Renews the leases of this process's runs until their messages are settled."""

    def __init__(self, board: Board) -> None:
        self.logger = get_logger(__name__, type(self))
        self.board = board
        self._leases: set[str] = set()
        self._lock = threading.Lock()
        self._stop_asked = threading.Event()

    def before_worker_boot(self, broker: Broker, worker: Any) -> None:
        self._stop_asked.clear()
        threading.Thread(target=self._keep, name="leases", daemon=True).start()

    def after_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        self._stop_asked.set()

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        run = run_of(message)
        if run is not None:
            with self._lock:
                self._leases.add(run.lease)

    def after_ack(self, broker: Broker, message: MessageProxy) -> None:
        run = run_of(message)
        if run is not None:
            with self._lock:
                self._leases.discard(run.lease)

    after_nack = after_ack

    def _keep(self) -> None:
        in_outage = False
        while not self._stop_asked.wait(RENEWAL_INTERVAL):
            with self._lock:
                leases = sorted(self._leases)
            if not leases:
                continue
            try:
                self.board.renew(leases)
                in_outage = False
            except redis.RedisError as error:
                if not in_outage:
                    self.logger.warning("Leases cannot be renewed while Redis is away: %s", error)
                in_outage = True

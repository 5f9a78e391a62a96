"""The sweep: nothing that has not ended stays without an owner.

A task of an open chain is owned by a run whose worker is alive, by a due time, or by a message in a queue.
The clock sweeps every few seconds; one sweep at a time holds a lock, and each step may be repeated:

1. The un-acked messages of workers that have died go back to their queues.
2. Open chains of the board, each looked at every half minute: what nobody owns is sent again.
3. Open chains of the ledger that the board does not know are restored and sent: all of them once Redis has
   been emptied, else those that were about to start when their starter died. The same for open batches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import redis

from callboard.errors import CallboardError, UnknownChain
from db.workers import Workers
from middleware.outage import Outage

from . import control
from .application import Application
from .batches.driver import BatchDriver
from .redis_broker import RedisBroker

#: Seconds between two sweeps.
SWEEP_INTERVAL = 5
#: Seconds between two looks at an open chain.
LOOK_INTERVAL = 30
#: The same where queues cannot be looked into: a message may only be waiting, and a second one is a cost.
BLIND_LOOK_INTERVAL = 120
#: Chains that one look takes.
LOOK_SIZE = 200
#: Seconds that the lock is held without being renewed.
LOCK_TTL = 30
#: Seconds between two comparisons of the ledger's open chains with the board.
COMPARE_INTERVAL = 60
#: Chains of one page of the comparison.
PAGE_SIZE = 500
#: Seconds that a start may take between its row and the board.
START_GRACE = 30
#: The same where Redis has been emptied: everything is missing, and waiting helps nobody.
EMPTIED_GRACE = 2
#: Chains without a way on that are remembered, so that each is complained of once.
MOST_GIVEN_UP = 10_000
#: What the marker says until all that was lost has been looked for.
EMPTIED = b"emptied"
#: Seconds of the recorder's backlog with which the ledger still counts as up to date.
LARGEST_LAG = 10

logger = logging.getLogger(__name__)


class Sweep:
    """Sweeps for one application; :meth:`tick` is called every ``SWEEP_INTERVAL`` seconds."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.workers = Workers(application.board.clients, application.board.keys)
        self.batches = BatchDriver(application)
        self._holder = uuid4().hex
        self._next_comparison = 0.0
        self._emptied_since = 0.0
        self._outage = Outage(logger, "The sweep")
        #: Chains that have been complained of.
        self._given_up: set[str] = set()

    def tick(self) -> None:
        """One sweep, unless another process is at it. An outage is logged once, and ends by itself."""
        try:
            if not self._hold_lock():
                return
            self.reclaim()
            self.look()
            self.batches.tick()
            self.compare()
        except control.OUTAGES as error:
            self._outage.note(error)
        else:
            self._outage.end()

    def release(self) -> None:
        """Let another process sweep at once."""
        client, key = self.application.board.clients.get(), self.application.board.keys.sweeper
        try:
            if client.get(key) == self._holder.encode():
                client.delete(key)
        except redis.RedisError:
            # The lock runs out by itself.
            return

    def _hold_lock(self) -> bool:
        client, key = self.application.board.clients.get(), self.application.board.keys.sweeper
        if client.set(key, self._holder, nx=True, ex=LOCK_TTL):
            return True
        if client.get(key) != self._holder.encode():
            return False
        client.expire(key, LOCK_TTL)
        return True

    def reclaim(self) -> int:
        """Bury the workers that have died. Returns how many messages went back to their queues."""
        broker, known, count = self.application.broker, self.workers.known(), 0
        for worker in known:
            if worker.alive_for:
                continue
            if isinstance(broker, RedisBroker) and worker.facts.broker:
                count += broker.reclaim(worker.facts.broker, worker.facts.queues)
            if self.workers.bury(worker.worker_id):
                logger.info("Worker %s is dead; its messages are back.", worker.worker_id)
        if isinstance(broker, RedisBroker):
            # Redis was emptied, and the worker died before it was in the registry again.
            queues = sorted(broker.get_declared_queues())
            registered = {worker.facts.broker for worker in known}
            for broker_id in broker.silent(self.application.settings.lease_ttl):
                if broker_id not in registered:
                    count += broker.reclaim(broker_id, queues)
        return count

    def look(self) -> int:
        """Look at the open chains whose turn it is. Returns how many had to be sent again."""
        board, queues = self.application.board, self.application.broker.namespace_of_queues
        next_look = LOOK_INTERVAL if queues else BLIND_LOOK_INTERVAL
        count, looked_at = 0, LOOK_SIZE
        while looked_at == LOOK_SIZE and self._hold_lock():
            found, looked_at = board.overlooked(queues, next_look=next_look, most=LOOK_SIZE)
            count += sum(self._rescue(chain_id) for chain_id in found)
        return count

    def compare(self) -> int:
        """Look for open chains of the ledger that the board does not know. Returns how many were sent."""
        board = self.application.board
        client = board.clients.get()
        mark: Any = client.get(board.keys.epoch)
        emptied = mark in (None, EMPTIED)
        if not emptied and (time.monotonic() < self._next_comparison or self._lag() > LARGEST_LAG):
            return 0
        if mark is None or (emptied and not self._emptied_since):
            # Emptied once more, where the mark of the last time is gone, too.
            self._emptied_since = time.monotonic()
            client.set(board.keys.epoch, EMPTIED)
            logger.warning("Redis has been emptied, or is new: open chains are taken from the ledger.")
        began, count = time.monotonic(), 0
        self.batches.compare(emptied=emptied)
        for page in self._open_pages(EMPTIED_GRACE if emptied else START_GRACE):
            missing = [chain_id for chain_id, there in zip(page, board.known(page), strict=True) if not there]
            count += sum(self._rescue(chain_id) for chain_id in missing)
            if not self._hold_lock():
                return count
        # A pass leaves out the youngest rows: only one that began later has seen all that was lost.
        if not emptied or began > self._emptied_since + EMPTIED_GRACE:
            # Not if it has been emptied again meanwhile.
            client.set(board.keys.epoch, repr(time.time()), xx=True)
            self._emptied_since = 0.0
        self._next_comparison = time.monotonic() + COMPARE_INTERVAL
        return count

    def _open_pages(self, grace: float) -> Iterator[list[str]]:
        after = 0
        while rows := self.application.ledger.open_chains(after, PAGE_SIZE, older_than=grace):
            yield [chain_id for _, chain_id in rows]
            after = rows[-1][0]

    def _lag(self) -> float:
        """Seconds that the oldest event has waited: the ledger may take its chain for open, and is wrong."""
        oldest = self.application.board.oldest_event()
        return 0.0 if oldest is None else time.time() - oldest

    def _rescue(self, chain_id: str) -> bool:
        """Send again what nobody owns of a chain, restored first where the board has forgotten it."""
        try:
            sent = control.send_again(chain_id, application=self.application)
        except control.OUTAGES:
            raise
        except UnknownChain:
            self.application.board.clients.get().zrem(self.application.board.keys.open, chain_id)
            return False
        except Exception as error:
            # Whatever is wrong with one chain, the others must not wait for it.
            if chain_id not in self._given_up:
                known = isinstance(error, CallboardError)
                logger.error(
                    "Chain %s has no owner, and cannot be sent again: %s", chain_id, error, exc_info=not known
                )
            if len(self._given_up) >= MOST_GIVEN_UP:
                self._given_up.clear()
            self._given_up.add(chain_id)
            return False
        if sent:
            logger.warning("Chain %s had no owner; its messages are sent again: %s.", chain_id, sent)
        return bool(sent)

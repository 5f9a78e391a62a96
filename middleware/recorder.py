"""The recorder: from the event stream into the ledger.

A thread in each worker process drains the stream through one consumer group. Events leave the stream when
their transaction has committed, never before; while the database is down they wait there.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import redis
from dramatiq import Broker
from dramatiq.logging import get_logger
from dramatiq.middleware import Middleware

from callboard.errors import LedgerUnavailable
from db.events import PAYLOAD, Entry, Event, newest
from db.keys import BATCH_CHAIN_TTL, Keys
from db.ledger import Ledger
from db.redis_client import connect
from db.scripts import source

from .lease import Lease
from .outage import Outage

#: Events that one transaction takes.
BATCH = 5000
#: Bytes that they have at most, about: after an outage thousands of large results may wait.
BATCH_BYTES = 32 << 20
#: Events to which a transaction shrinks while the database does not answer: a slow one may never manage more.
SMALLEST = 500
#: Seconds to let events gather after a batch that was not full.
LINGER = 0.05
#: All recorders rest for this many times the time that a batch took: under load more events gather, and
#: several states of a row become one. A worker's stages have the interpreter meanwhile.
REST = 9
#: Seconds that they rest at most, and so by how much the ledger may lag behind under load.
LONGEST_REST = 1.5
#: Seconds that a read waits for the first event; also how long a stop may take.
READ_BLOCK = 0.5
#: Seconds between two looks for what this recorder still holds, and what dead ones have left.
LOOK_INTERVAL = 1.0
#: Seconds after which events that a recorder took and never settled go to another, dead or not.
CLAIM_AFTER = 30.0
#: Seconds between two tries while the database or Redis is away.
OUTAGE_PAUSE = 1.0
#: Seconds that a stopping worker gives the recorder to write what is left.
STOP_TIMEOUT = 5.0


class Recorder(threading.Thread):
    """Drains the event stream into the ledger until it is stopped.

    Parameters:
        url: the board's Redis.
        keys: names of its keys.
        ledger: where events go.
        worker_id: the worker by whose proof of life the others know whether this recorder is alive; without
            one, they wait for ``CLAIM_AFTER``.
        linger: seconds to let events gather.
        claim_after: seconds after which it takes what another one holds.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        ledger: Ledger,
        *,
        worker_id: str = "",
        linger: float = LINGER,
        claim_after: float = CLAIM_AFTER,
    ) -> None:
        super().__init__(name="recorder", daemon=True)
        self.logger = get_logger(__name__, type(self))
        self.keys = keys
        self.ledger = ledger
        self.linger = linger
        self.claim_after = claim_after
        self.consumer = worker_id or f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._redis = connect(url)
        self._claim_script: Any = self._redis.register_script(source("claim"))
        self._shed_script: Any = self._redis.register_script(source("shed"))
        self._stop_asked = threading.Event()
        self._next_look = 0.0
        #: Events that one read takes: fewer than ``BATCH`` where they are large.
        self._count = BATCH
        #: Events that one transaction takes: fewer while the database does not get through.
        self._portion = BATCH
        self._outage = Outage(self.logger, "The recorder")
        # Taken and not written yet. Were they read again after an outage of the database, a Redis that was
        # emptied meanwhile would have lost them.
        self._in_hand: Sequence[Entry] = ()

    def stop(self) -> None:
        """Write what is in the stream, then end; what cannot be written stays there for the next one."""
        self._stop_asked.set()
        self.join(STOP_TIMEOUT)

    def run(self) -> None:
        while True:
            stopping = self._stop_asked.is_set()
            recorded = 0
            try:
                if not stopping:
                    self._rest()
                if not self._in_hand:
                    self._in_hand = self._read(0 if stopping else READ_BLOCK)
                begun = time.monotonic()
                recorded = self._write(self._in_hand[: self._portion])
                self._in_hand = self._in_hand[recorded:]
                self._outage.end()
                if not self._in_hand:
                    self._portion = min(BATCH, 2 * self._portion)
                    self._let_gather(recorded, time.monotonic() - begun)
            except (redis.RedisError, LedgerUnavailable) as error:
                if isinstance(error, LedgerUnavailable):
                    self._portion = max(SMALLEST, self._portion // 2)
                self._outage.note(error)
                self._stop_asked.wait(OUTAGE_PAUSE)
            except Exception:
                self.logger.exception("The recorder stumbled; it goes on.")
                self._stop_asked.wait(OUTAGE_PAUSE)
            if stopping and not recorded:
                self._leave()
                return

    def _rest(self) -> None:
        """Wait while events gather, whichever recorder has written last.

        Took each process' recorder what it finds, a chain's row would be written as often as there are
        processes.
        """
        left: Any = self._redis.pttl(self.keys.rest)
        self._stop_asked.wait(max(0, left) / 1000)

    def _let_gather(self, recorded: int, seconds: float) -> None:
        """Start a rest for all, after a batch of so many events that was written in so many seconds."""
        if 0 < recorded < self._count:
            rest = min(LONGEST_REST, max(self.linger, REST * seconds))
            self._redis.set(self.keys.rest, "", px=int(rest * 1000), nx=True)

    def record_once(self) -> int:
        """Take one batch through: read, write, settle. Returns the number of events settled.

        Raises:
            LedgerUnavailable: the database is away; the events stay in the stream.
            redis.RedisError: Redis is away.
        """
        return self._write(self._read(0))

    def _write(self, entries: Sequence[Entry]) -> int:
        if not entries:
            return 0
        there = [entry for entry in entries if entry[1]]
        if len(there) < len(entries):
            self.logger.error(
                "%d events were taken out of the stream before the ledger had them: whoever trims it loses "
                "what has happened.",
                len(entries) - len(there),
            )
        events = [event for entry in newest(there) if (event := self._parse(*entry)) is not None]
        self.ledger.record(events)
        self._settle([entry_id for entry_id, _ in entries])
        self._shed(events)
        return len(entries)

    def _parse(self, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Event | None:
        try:
            return Event.from_fields(fields)
        except ValueError:
            self.logger.exception("Event %r in the stream is malformed: %.4000r", entry_id, fields)
        with suppress(ValueError):
            # The state counts, whatever it carries.
            return Event.from_fields({name: fields[name] for name in fields.keys() - PAYLOAD})
        return None

    def _read(self, block: float) -> list[Entry]:
        try:
            return self._look() or self._read_group(">", int(block * 1000) or None)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._create_group()
            return []

    def _look(self) -> list[Entry]:
        """What this recorder holds already, as an answer got lost, and what it takes over from dead ones."""
        if time.monotonic() < self._next_look:
            return []
        keys = self.keys
        answer: Any = self._claim_script(
            [keys.events, keys.workers],
            [keys.recorders, self.consumer, keys.life(""), self._count, int(self.claim_after * 1000)],
        )
        held, size = answer
        self._count = max(1, min(BATCH, BATCH_BYTES // max(1, size)))
        if held < self._count:
            self._next_look = time.monotonic() + LOOK_INTERVAL
        return self._read_group("0", None) if held else []

    def _read_group(self, since: str, block: int | None) -> list[Entry]:
        answer: Any = self._redis.xreadgroup(
            self.keys.recorders, self.consumer, {self.keys.events: since}, count=self._count, block=block
        )
        if not answer:
            return []
        streams = answer.values() if isinstance(answer, dict) else (entries for _, entries in answer)
        found = [entry for entries in streams for entry in entries]
        # redis-py nests the entries of RESP3 once more.
        if found and isinstance(found[0], list):
            found = [entry for nested in found for entry in nested]
        return [(entry_id, fields or {}) for entry_id, fields in found]

    def _create_group(self) -> None:
        try:
            self._redis.xgroup_create(self.keys.events, self.keys.recorders, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _settle(self, ids: list[bytes]) -> None:
        pipe = self._redis.pipeline(transaction=True)
        pipe.xack(self.keys.events, self.keys.recorders, *ids)
        pipe.xdel(self.keys.events, *ids)
        pipe.execute()

    def _shed(self, events: list[Event]) -> None:
        """Let ended chains of batches off the board: a batch of thousands would fill it for an hour."""
        ended = {
            event.chain_id: event.seq
            for event in events
            if event.chain and event.chain.batch_id and event.chain.finished_at
        }
        keys = [
            key
            for chain_id in ended
            for key in (self.keys.live(chain_id), self.keys.array(chain_id), self.keys.messages(chain_id))
        ]
        if keys:
            self._shed_script(keys, [BATCH_CHAIN_TTL, *ended.values()])

    def _leave(self) -> None:
        """Take this recorder out of the group, unless it holds events that another must claim."""
        try:
            if not self._read_group("0", None):
                self._redis.xgroup_delconsumer(self.keys.events, self.keys.recorders, self.consumer)
            self._redis.close()
        except redis.RedisError:
            pass


class RecorderThread(Middleware):
    """Runs a recorder in each worker process, under the worker's name."""

    def __init__(self, url: str, keys: Keys, ledger: Ledger, lease: Lease) -> None:
        self._arguments = (url, keys, ledger)
        self._lease = lease
        self._recorder: Recorder | None = None

    def after_worker_boot(self, broker: Broker, worker: Any) -> None:
        self._recorder = Recorder(*self._arguments, worker_id=self._lease.worker_id)
        self._recorder.start()

    def after_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder = None

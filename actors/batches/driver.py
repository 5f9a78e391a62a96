"""What moves batches: as their chunks end, the next are released; what was lost is found again.

A chain's start and end make its batch due (``tell_batch`` in ``db/lua/includes/transition.lua``). A thread in
each worker process, and the sweep, ask a few times a second which batches are due and :func:`advance` each.
Advancing reads the board and may be done by anybody, at any time, any number of times.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from typing import Any

from dramatiq import Broker
from dramatiq.middleware import Middleware

from actors import control
from actors.application import Application
from callboard.errors import ChainStateError, UnknownChain
from db.batches import ledger
from db.batches.board import milliseconds
from db.batches.facts import BatchFacts
from db.batches.live import LETTERS, NEW, OPEN, UNSTARTED_WAITS, LiveBatch
from db.chains import encode
from db.values import to_epoch
from middleware.outage import Outage

from .callbacks import messages_at_end, send_lost
from .pace import note_pace
from .release import RESEND_AFTER, RESIZE_AFTER, SOONEST, lost, release, send_chunks

#: Seconds between two looks for batches that are due; they grow while there are none.
TICK, IDLE_TICK = 0.05, 0.3
#: Seconds after which a batch is looked at though nothing of it has moved.
NEXT_LOOK = 15
#: Batches that one tick takes, and open chains of one that a look asks for.
MOST_BATCHES = 20
MOST_CHAINS = 2_000
#: Seconds that a start may take between its rows and the board; less where Redis was emptied.
START_GRACE, EMPTIED_GRACE = 30, 2
#: Seconds that a worker which shuts down waits for the driver.
STOP_TIMEOUT = 5.0

CHUNK_ERROR = "its chains could not be started"

logger = logging.getLogger(__name__)


def post(application: Application, batch_id: str, facts: BatchFacts) -> None:
    """Put a new batch onto the board.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    fields = {
        "released": 0,
        "look": milliseconds(NEXT_LOOK),
        "resend": milliseconds(RESEND_AFTER),
        "resize": milliseconds(RESIZE_AFTER),
        "seq": 0,
    }
    application.batches.post(batch_id, facts, bytes(facts.images), fields)


def advance(application: Application, batch_id: str) -> LiveBatch | None:
    """Take a batch as far as it can go now. Returns its reading; None when there is no such batch.

    Raises:
        redis.RedisError, BrokerConnectionError, BoardUnavailable, LedgerUnavailable: a server does not
            answer; the batch is looked at again.
    """
    board = application.batches
    live = board.read(batch_id)
    if live is None:
        if not _restore(application, batch_id):
            board.forget(batch_id)
            return None
        live = board.read(batch_id)
    if live is None:
        return None
    next_look = None
    if live.revoked is not None and live.finished is None:
        revoke_open(application, batch_id, live)
    elif live.revoked is None:
        next_look = release(application, batch_id, live)
    if live.look <= milliseconds(0):
        _find_lost(application, batch_id, live)
    # By a reading of its own: a batch is restored from its row, which needs the cut of the chunks that have
    # just gone out; and what was marked or called off may have been the last that was open.
    record(application, batch_id)
    if next_look is not None:
        board.look_again(batch_id, next_look)
    return live


def _restore(application: Application, batch_id: str) -> bool:
    """Put a batch that the board has forgotten back from the ledger. Returns False when there is none."""
    row = ledger.read(application.database, batch_id)
    facts = ledger.facts_of(row) if row is not None else None
    if row is None or facts is None:
        return False
    letters = ledger.letters_of(application.database, row, facts)
    begun = len(letters.rstrip(b"\0r"))
    # What has no chain goes out again as the window has room: its start is repeatable.
    letters = letters[:begun].replace(NEW, UNSTARTED_WAITS) + letters[begun:]
    fields: dict[str, Any] = {
        "released": facts.chunk_of(begun - 1) + 1 if begun else 0,
        "resend": milliseconds(RESEND_AFTER),
        "seq": row.seq or 0,
    }
    if facts.auto and facts.segments:
        fields["segments"] = encode(facts.segments)
    if row.status == "REVOKED" and row.finished_at is None:
        fields["revoked"] = "revoked"
    if row.started_at is not None:
        fields["started"] = repr(to_epoch(row.started_at))
    if row.finished_at is not None:
        # It does not end once more, unless a chain of it was resumed.
        fields["finished"] = repr(to_epoch(row.finished_at))
    application.batches.post(batch_id, facts, letters, fields)
    return True


def revoke_open(application: Application, batch_id: str, live: LiveBatch) -> dict[str, list[control.Receipt]]:
    """Call off the open chains of a batch that was revoked.

    Returns:
        By chain id, what happened to its tasks; empty for one that has ended, or was revoked by another.

    Raises:
        BoardUnavailable, LedgerUnavailable: a server does not answer.
    """
    receipts: dict[str, list[control.Receipt]] = {}
    for item in _open_items(live):
        chain_id = ledger.chain_id_of(batch_id, item)
        receipts[chain_id] = []
        # What the board does not know is told again at the next look.
        with suppress(ChainStateError, UnknownChain):
            receipts[chain_id] = control.revoke(chain_id, live.revoked or "", application=application)
    return receipts


def _open_items(live: LiveBatch) -> list[int]:
    items, at = [], live.letters.find(OPEN)
    while at >= 0:
        items.append(at)
        at = live.letters.find(OPEN, at + 1)
    return items


def _find_lost(application: Application, batch_id: str, live: LiveBatch) -> None:
    """Chains that only the ledger knows to have ended, and chunks whose message got lost."""
    board = application.batches
    if ledger.read(application.database, batch_id) is None:
        board.forget(batch_id)
        return
    board.set_moment(batch_id, "look", NEXT_LOOK)
    items = _open_items(live)[:MOST_CHAINS]
    chain_ids = [ledger.chain_id_of(batch_id, item) for item in items]
    known = application.board.known(chain_ids)
    missing = {
        chain_id: item for chain_id, item, there in zip(chain_ids, items, known, strict=True) if not there
    }
    for chain_id, status in ledger.statuses(application.database, list(missing)).items():
        if letter := LETTERS.get(status):
            item = missing[chain_id]
            board.mark(batch_id, letter, [range(item, item + 1)], "open")
    if live.revoked is None and (chunks := lost(application, batch_id, live)):
        logger.warning("Batch %s: %d chunks have not started; they are sent again.", batch_id, len(chunks))
        send_chunks(application, batch_id, chunks)


def record(application: Application, batch_id: str, *, cleared: bool = False) -> None:
    """Write the batch's row, and end the batch where all of it has ended.

    Parameters:
        cleared: whether chunks that had failed may not have any more.

    Raises:
        redis.RedisError, LedgerUnavailable: a server does not answer.
    """
    live = application.batches.read(batch_id)
    if live is None:
        return
    finished = None
    if live.counts.ended:
        finished = live.finished or live.ending or round(time.time(), 3)
    ledger.record(application.database, batch_id, live, finished, CHUNK_ERROR, cleared=cleared)
    note_pace(application, batch_id, live)
    application.batches.tell(batch_id, live)
    if finished is not None:
        _close(application, batch_id, live, finished)


def _close(application: Application, batch_id: str, live: LiveBatch, finished: float) -> None:
    """Note a batch's end; the messages of its callbacks go out in the same step, or on RabbitMQ after it."""
    board, broker = application.batches, application.broker
    messages = messages_at_end(application, batch_id, live, finished) if live.finished is None else []
    ids = [message.message_id for message in messages]
    in_one_step = bool(broker.namespace_of_queues)
    answer = broker.launch(board.close(batch_id, finished, ids if in_one_step else ()), messages)
    if answer[0] != b"recorded":
        return
    if not in_one_step:
        board.note_called(ids)
    logger.info("Batch %s has ended: %s.", batch_id, live.status.value)


class BatchDriver:
    """Advances the batches of one application that are due."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self._outage = Outage(logger, "The batch driver")

    def tick(self) -> float:
        """Advance what is due. An outage is logged once, and ends by itself.

        Returns:
            Seconds until something more is due, as far as is known; 0 where something was.
        """
        due: list[str] = []
        seconds = math.inf
        try:
            due, seconds = self.application.batches.due(next_look=NEXT_LOOK, most=MOST_BATCHES)
            for batch_id in due:
                self._advance(batch_id)
        except control.OUTAGES as error:
            self._outage.note(error)
        else:
            self._outage.end()
        return 0.0 if due else seconds

    def _advance(self, batch_id: str) -> None:
        try:
            advance(self.application, batch_id)
        except control.OUTAGES:
            raise
        except Exception:
            logger.exception("Batch %s cannot be advanced; the others go on.", batch_id)

    def compare(self, *, emptied: bool) -> None:
        """Bring open batches of the ledger back that the board does not know, or takes for ended.

        Raises:
            redis.RedisError, BrokerConnectionError, BoardUnavailable, LedgerUnavailable: a server does not
                answer.
        """
        grace = EMPTIED_GRACE if emptied else START_GRACE
        batch_ids = ledger.open_batches(self.application.database, older_than=grace)
        known = self.application.batches.is_open(batch_ids)
        for batch_id, is_open in zip(batch_ids, known, strict=True):
            if not is_open:
                logger.warning("Batch %s is compared with the ledger.", batch_id)
                self._advance(batch_id)
        send_lost(self.application, emptied=emptied)


class BatchDriverThread(Middleware):
    """Runs a driver in each worker process."""

    def __init__(self, application: Application) -> None:
        self._driver = BatchDriver(application)
        self._stop_asked = False
        self._stirred = threading.Event()
        self._thread: threading.Thread | None = None

    def stir(self) -> None:
        """Look for what is due, and go on looking often: a batch moves here."""
        self._stirred.set()

    def after_worker_boot(self, broker: Broker, worker: Any) -> None:
        self._stop_asked = False
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    def before_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        self._stop_asked = True
        self.stir()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT)
            self._thread = None

    def _run(self) -> None:
        pause = longest = TICK
        while True:
            stirred = self._stirred.wait(pause)
            self._stirred.clear()
            if self._stop_asked:
                return
            seconds = self._driver.tick()
            longest = TICK if stirred or not seconds else min(IDLE_TICK, 1.5 * longest)
            pause = min(longest, max(SOONEST, seconds))

"""One run in memory: where it stands, its last log lines, and the last messages for those who follow it.

Messages are kept once for all followers, in a ring. Each follower has a position in it: one that reads too
slowly is overrun, and goes on from the newest state without having held up anybody.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from db.chains import encode

#: States in which clients stop to poll.
ENDED = ("END", "FAILED")
#: Log lines that a run which somebody follows keeps, and one that was only heard of.
KEPT_LOGS = 500
KEPT_LOGS_UNFOLLOWED = 20
#: Seconds that a client has to take a close frame before its connection is cut.
CLOSE_SECONDS = 3.0
#: Characters of a log line from a message that is not ours.
LOG_LENGTH = 1000
#: Texts remembered to tell a published message that was read from the stream already from a foreign one.
KEPT_UNHEARD = 2048
UNHEARD_SECONDS = 30.0


@dataclass(frozen=True)
class Message:
    """A progress message as published; None for what it leaves out."""

    run_id: str
    state: str | None
    progress: float | None
    log: str | None


def parse(text: bytes) -> Message | None:
    """The message in ``text``; None where it is none. Anybody may publish, so nothing is taken on trust."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("run_id"), str):
        return None
    state, progress, log = found.get("state"), found.get("progress"), found.get("log")
    if isinstance(progress, bool) or not isinstance(progress, (int, float)) or not math.isfinite(progress):
        progress = None
    return Message(
        found["run_id"],
        state if isinstance(state, str) and state else None,
        None if progress is None else min(1.0, max(0.0, float(progress))),
        log[:LOG_LENGTH] if isinstance(log, str) and log else None,
    )


@dataclass(frozen=True)
class Loaded:
    """A run as the stores have it.

    Attributes:
        last_id: of the newest message in its stream that is part of this.
        texts: the last of those messages, as published.
    """

    state: str
    progress: float
    logs: list[str]
    last_id: str = "0-0"
    texts: Sequence[bytes] = ()


@dataclass(frozen=True)
class Entry:
    """A message for followers: its number in the run, its id in the stream, JSON for clients.

    The id is None for a message that is in no stream.
    """

    number: int
    id: str | None
    text: str


class Run:
    """A run in memory.

    Attributes:
        followed: whether it is read from its stream; else it knows only what was published meanwhile.
        head: number of the newest message.
        heard, asked: when a message came, when somebody asked for it (the loop's seconds).
        ended: when it was seen to have ended.
    """

    def __init__(self, run_id: str, queue_size: int, now: float) -> None:
        self.run_id = run_id
        self.state = "PENDING"
        self.progress = 0.0
        self.logs: deque[str] = deque(maxlen=KEPT_LOGS_UNFOLLOWED)
        self.last_id = "0-0"
        self.head = 0
        self.followed = False
        self.followers: set[Follower] = set()
        self.heard = self.asked = self.loaded = now
        self.ended: float | None = None
        self._ring: deque[Entry] = deque(maxlen=queue_size)
        self._unheard: deque[bytes] = deque(maxlen=KEPT_UNHEARD)

    def load(self, loaded: Loaded, now: float) -> bool:
        """Take over what the stores say. Returns whether that was news."""
        known = (self.state, self.progress, self.last_id)
        self.followed = True
        self.state, self.progress, self.last_id = loaded.state, loaded.progress, loaded.last_id
        self.logs = deque(loaded.logs, maxlen=KEPT_LOGS)
        self._unheard = deque(loaded.texts, maxlen=KEPT_UNHEARD)
        self.loaded = now
        self._note_end(now)
        return known != (self.state, self.progress, self.last_id)

    def apply(self, text: bytes, entry_id: str | None, now: float) -> None:
        """Take in a message: of its stream, or a foreign one that was published only."""
        self.heard = now
        if entry_id is not None:
            self.last_id = entry_id
            self._unheard.append(text)
        message = parse(text)
        if message is None:
            return
        if message.state is not None:
            self.state = message.state
        if message.progress is not None:
            self.progress = message.progress
        if message.log is not None:
            self.logs.append(message.log)
        self._note_end(now)
        if self.followers:
            self.head += 1
            self._ring.append(Entry(self.head, entry_id, progress_text(message)))

    def is_foreign(self, text: bytes) -> bool:
        """Whether a published message is none of those read from the stream."""
        try:
            self._unheard.remove(text)
        except ValueError:
            return True
        return False

    def forget_unheard(self, now: float) -> None:
        """What was read and not heard of for long will not be heard of any more."""
        if now - max(self.heard, self.loaded) > UNHEARD_SECONDS:
            self._unheard.clear()

    def after(self, number: int) -> Entry | None:
        """The message after that number; None when the ring has let go of it."""
        if not self._ring or number + 1 < self._ring[0].number:
            return None
        return self._ring[number + 1 - self._ring[0].number]

    def facts(self) -> dict[str, Any]:
        """What polling answers with."""
        return {
            "run_id": self.run_id,
            "state": self.state,
            "progress": self.progress,
            "logs": list(self.logs),
        }

    def snapshot(self) -> str:
        """The ``initial_state`` message."""
        state = {"state": self.state, "progress": self.progress, "logs": list(self.logs)}
        return encode({"type": "initial_state", **state})

    def newest(self) -> str:
        """The newest state as a ``progress`` message without a log line."""
        return progress_text(Message(self.run_id, self.state, self.progress, None))

    def _note_end(self, now: float) -> None:
        if self.state not in ENDED:
            self.ended = None
        elif self.ended is None:
            self.ended = now


def progress_text(message: Message) -> str:
    """The ``progress`` message of the document."""
    return encode(
        {
            "type": "progress",
            "run_id": message.run_id,
            "state": message.state,
            "progress": message.progress,
            "message": message.log or "",
        }
    )


class Follower:
    """Somebody who follows a run: a WebSocket, or a stream of events.

    Attributes:
        refresh: whether it must be told anew where the run stands; reset by who does so.
        overrun: whether it has missed messages; reset by who makes up for them.
        verdict: set to (close code, reason) when it is to be ended.
        heard: when the client last said something, or connected (the loop's seconds).
        moved: when it was last brought up to date.
        behind: since when it has not been up to date; None when it is.
        abort: ends the connection at once, for a client that reads nothing any more.
    """

    def __init__(self, run: Run, abort: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.run = run
        self.refresh = True
        self.overrun = False
        self.verdict: asyncio.Future[tuple[int, str]] = loop.create_future()
        self.heard = self.moved = loop.time()
        self.behind: float | None = self.heard
        self._abort = abort
        self._aborting: asyncio.TimerHandle | None = None
        self._position = run.head
        self._wake = asyncio.Event()
        self._wake.set()

    async def news(self) -> None:
        """Returns when there is something to take, or a verdict."""
        await self._wake.wait()

    def wake(self, now: float, *, refresh: bool = False) -> None:
        """There is something to take."""
        self.refresh = self.refresh or refresh
        if self.behind is None:
            self.behind = now
        self._wake.set()

    def catch_up(self) -> None:
        """Whatever the run's messages said up to now is known otherwise."""
        self.refresh = self.overrun = False
        self._position = self.run.head

    def take(self, now: float) -> Entry | None:
        """The next message; None when it is up to date, or while ``refresh`` or ``overrun`` is set."""
        if self.refresh or self.overrun:
            return None
        if self._position == self.run.head:
            self.behind = None
            self.moved = now
            self._wake.clear()
            return None
        entry = self.run.after(self._position)
        if entry is None:
            self.overrun = True
            return None
        self._position = entry.number
        return entry

    def end(self, code: int, reason: str) -> None:
        """Let it be closed with this code, and by force when that has not helped after some seconds."""
        if not self.verdict.done():
            self.verdict.set_result((code, reason))
            self._wake.set()
            self.force_soon()

    def force_soon(self) -> None:
        """Abort the connection when it has not closed some seconds from now."""
        if self._aborting is None:
            self._aborting = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    def spare(self) -> None:
        """Its connection is free for something else: do not abort it."""
        if self._aborting is not None:
            self._aborting.cancel()

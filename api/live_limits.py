"""What keeps live progress small, and the codes with which sockets are closed."""

from __future__ import annotations

from dataclasses import dataclass

from callboard.errors import CallboardError

# Close codes of WebSockets; those from 4000 are ours.
ENDED_LONG_AGO = 1000
TOO_BIG = 1009
STOPPING = 1012
TRY_LATER = 1013
BAD_MESSAGE = 4400
UNAUTHORISED = 4401
FORBIDDEN = 4403
UNKNOWN_RUN = 4404
IDLE = 4408
TOO_SLOW = 4429


class Full(CallboardError):
    """The process has as many sockets as it may, or stops. Attribute: ``code``, to close one with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Limits:
    """What keeps a process small. Durations are seconds.

    Attributes:
        sockets: WebSockets and event streams together.
        message: characters of a message from a client.
        queue: messages that a client may be behind before it is given the newest state only.
        patience: how long it may stay behind before it is dropped.
        idle: after so long without a word from either side a socket is closed.
        sign_in: how long a client may take to authenticate.
        runs: runs kept in memory; those that somebody follows are kept beyond it.
        keep_ended: how long an ended run is kept, with those who follow it in silence.
        keep_silent: how long a run that nobody follows is kept after its last message.
        keep_asked: how long a run is read from its stream after somebody last asked for it.
        heartbeat: between two comments in an event stream.
    """

    sockets: int = 100
    message: int = 4096
    queue: int = 64
    patience: float = 10.0
    idle: float = 3600.0
    sign_in: float = 10.0
    runs: int = 5000
    keep_ended: float = 300.0
    keep_silent: float = 3600.0
    keep_asked: float = 60.0
    heartbeat: float = 15.0

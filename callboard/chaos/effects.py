"""The effects file: what stages really did, one line for each begin, end and raise of a body, with fsync.

Lines are appended in one write each, so their order in the file is the order in which they happened,
whichever process wrote them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from middleware.run import current_run


@dataclass
class Body:
    """One run of a stage's body, as its lines tell.

    Attributes:
        run: an id of its own.
        chain, stage, member, attempt, token: where it ran; token is the fence's. A plain actor has none.
        pid: the worker process.
        given: the runs whose results it was called with.
        begun, ended: line numbers; ``ended`` is None when it never came to its end.
        began_at, ended_at: epoch seconds.
        raised: the exception that ended it, or empty.
    """

    run: str
    chain: str
    stage: int
    member: int
    attempt: int
    token: str
    pid: int
    given: list[str] = field(default_factory=list)
    begun: int = 0
    ended: int | None = None
    began_at: float = 0.0
    ended_at: float = 0.0
    raised: str = ""

    @property
    def place(self) -> tuple[str, int, int]:
        """Chain, stage and member."""
        return self.chain, self.stage, self.member

    @property
    def completed(self) -> bool:
        """Whether it came to its end, its effect done."""
        return self.ended is not None and not self.raised


@contextmanager
def body(path: str, given: list[str], plain: str = "", stage: int = 0, member: int = 0) -> Iterator[Body]:
    """Around a stage's body: a line at its begin and one at its end, each on the disk before it goes on.

    Parameters:
        path: the effects file.
        given: the runs whose results the stage was called with.
        plain, stage, member: a name in place of a chain's id, and where it runs, for an actor that is not
            tracked.
    """
    run = current_run()
    if run is None:
        here = Body(uuid4().hex, plain, stage, member, 0, "", os.getpid(), given)
    else:
        place = run.place
        here = Body(
            uuid4().hex,
            place.chain_id,
            place.stage,
            place.member,
            run.attempt,
            run.token,
            os.getpid(),
            given,
        )
    known = asdict(here)
    for name in ("begun", "ended", "began_at", "ended_at", "raised"):
        del known[name]
    _append(path, {"line": "begin", **known})
    try:
        yield here
    except BaseException as error:
        _append(path, {"line": "raise", "run": here.run, "error": type(error).__name__})
        raise
    _append(path, {"line": "end", "run": here.run})


def _append(path: str, line: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (json.dumps({**line, "at": time.time()}) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bodies(path: Path) -> list[Body]:
    """The bodies of an effects file, in the order in which they began."""
    bodies: dict[str, Body] = {}
    if not path.exists():
        return []
    for number, text in enumerate(path.read_text("utf-8").splitlines()):
        line = json.loads(text)
        kind, moment = line.pop("line"), line.pop("at")
        if kind == "begin":
            bodies[line["run"]] = Body(**line, begun=number, began_at=moment)
            continue
        there = bodies[line["run"]]
        there.ended, there.ended_at = number, moment
        there.raised = line.get("error", "")
    return list(bodies.values())

"""What a stage calls while it runs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from db.chains import encode
from middleware.run import current_run, cut_log

from .application import application_of, current
from .storage import Folder

#: Names in a stage's metadata that the board writes itself.
RESERVED = frozenset({"stage_name", "execution_time", "members", "error", "retries", "retry_at"})
#: Runs whose last message is remembered, so that no message goes out for less than a percent.
REMEMBERED_RUNS = 1000

_last_published: OrderedDict[str, tuple[str | None, int]] = OrderedDict()


@dataclass(frozen=True)
class StageContext:
    """Where a stage is running.

    Attributes:
        chain_id: its chain; empty for a tracked actor that belongs to none.
        stage: its number, from 1.
        name: as shown in the status array.
        attempt: how often the task has begun, this time included.
        folder: the chain's folder in the storage.
    """

    chain_id: str
    stage: int
    name: str
    attempt: int
    folder: Folder

    def download_url(self, name: str) -> str:
        """Where the API offers a file of the folder: a path, to be put behind the API's own address."""
        return f"/pipeline/{quote(self.chain_id)}/files/{quote(name)}"


def progress(
    percent: float | None = None, *, substep: str | None = None, log: str | None = None, **metadata: Any
) -> None:
    """Report from inside a stage; outside of one it does nothing.

    Parameters:
        percent: share of the stage that is done, 0 to 100. It never goes back within an attempt.
        substep: what is being done, shown in the status array.
        log: a line for those who follow the chain live.
        **metadata: facts to show beside, as JSON.

    Raises:
        ValueError: ``percent`` is out of range, or a name in ``metadata`` is reserved, or a value no JSON.
        RunLost: the chain was revoked, or another worker took the task over. Do not catch it.
    """
    run = current_run()
    if run is None:
        return
    if percent is not None and not 0 <= percent <= 100:
        raise ValueError(f"percent: read {percent!r}, expected 0 to 100")
    if reserved := RESERVED & metadata.keys():
        raise ValueError(f"the board writes {', '.join(sorted(reserved))} itself")
    if substep is not None:
        metadata["substep"] = substep
    run.report(percent, log, metadata)


def current_stage() -> StageContext:
    """Where the calling stage is running.

    Raises:
        RuntimeError: called outside of a stage.
    """
    run = current_run()
    if run is None:
        raise RuntimeError("current_stage() was called outside of a stage")
    place = run.place
    return StageContext(
        chain_id=place.chain_id,
        stage=place.stage,
        name=run.stage_name,
        attempt=run.attempt,
        folder=application_of(run.broker).storage.folder(place.chain_id or place.task_id),
    )


def publish_progress(
    run_id: str, state: str | None = None, progress: float | None = None, log: str | None = None
) -> None:
    """Send a progress message of one's own, on the channel of the run's workflow.

    What a stage reports with :func:`progress` is sent anyway; this is for code that publishes by hand. A
    message that brings neither a new state, nor a whole percent, nor a log line is left out.

    Parameters:
        run_id: the chain's id.
        state: e.g. ``PLOT_GENERATION``.
        progress: share of the whole run, 0.0 to 1.0.
        log: a line for people, cut to 500 bytes.

    Raises:
        ValueError: ``progress`` is out of range.
        redis.RedisError: Redis does not answer.
    """
    if progress is not None and not 0 <= progress <= 1:
        raise ValueError(f"progress: read {progress!r}, expected 0.0 to 1.0")
    last_state, last_percent = _last_published.pop(run_id, (None, -1))
    percent = last_percent if progress is None else int(progress * 100)
    news = log is not None or percent != last_percent or (state is not None and state != last_state)
    _last_published[run_id] = (state or last_state, percent)
    if len(_last_published) > REMEMBERED_RUNS:
        _last_published.popitem(last=False)
    if not news:
        return
    message: dict[str, Any] = {"run_id": run_id}
    if state:
        message["state"] = state
    if progress is not None:
        message["progress"] = progress
    if log:
        message["log"] = cut_log(log)
    current().board.publish(run_id, encode(message))

"""``GET /api/v1/jobs/{job_id}/`` and ``GET /media/videos/{video_id}/``: Redis first, then the ledger.

A job is a chain; a video is a chain whose id is the video's. The keys by which existing systems tell them
(``job:{id}:progress``, ``video:{id}:status``) are read first: the board writes them for a workflow that has
them (``db/status_keys.py``), and workers of those systems write them by themselves.
"""

from __future__ import annotations

import json
import math
from typing import Any

from falcon.asgi import Request, Response

from db.status_keys import JOB_STATUS, VIDEO_STATUS

from . import schemas
from .errors import Refusal
from .house import ChainView, House, is_chain_id
from .operations import operation

_JOB_STATUS = JOB_STATUS.words
_VIDEO_STATUS = VIDEO_STATUS.words
_VIDEO_FIELDS = ("hls_path", "duration")


class Job:
    """A chain, as a job."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("How far a job is, and what came of it", answers={200: schemas.JOB, 404: schemas.ERROR})
    async def on_get(self, req: Request, resp: Response, job_id: str) -> None:
        """PENDING, PROCESSING, DONE or FAILED."""
        if not is_chain_id(job_id):
            raise Refusal(404, "job_not_found", "Job not found")
        board = self._house.board
        final, told = await board.texts(board.keys.job_status(job_id), board.keys.job_progress(job_id))
        reported = _percent(told)
        view = _final_job(final, reported) or await self._house.view(job_id)
        if view is None and reported is None:
            raise Refusal(404, "job_not_found", "Job not found")
        if view is None:
            view = ChainView("STARTED", 0, "", None)
        status = _JOB_STATUS[view.status]
        resp.media = {
            "job_id": job_id,
            "status": status,
            "progress": reported if reported is not None and status == "PROCESSING" else view.percent,
            "result": view.result,
            "error_message": (view.error or view.status) if status == "FAILED" else None,
        }


class Video:
    """A chain, as a video."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("How far a video is, and where it lies", answers={200: schemas.VIDEO, 404: schemas.ERROR})
    async def on_get(self, req: Request, resp: Response, video_id: str) -> None:
        """PROCESSING, READY or FAILED."""
        if not is_chain_id(video_id):
            raise Refusal(404, "video_not_found", "Video not found")
        board = self._house.board
        final, told = await board.texts(
            board.keys.video_status(video_id), board.keys.video_progress(video_id)
        )
        reported = _percent(told)
        answer = _final_status(video_id, final)
        if answer is None:
            view = await self._house.view(video_id)
            if view is None and reported is None:
                raise Refusal(404, "video_not_found", "Video not found")
            answer = _of_chain(video_id, view or ChainView("STARTED", 0, "", None))
        if answer["status"] != "READY" and reported is not None:
            answer["progress"] = reported
        resp.media = answer


def _final_job(text: bytes | None, reported: float | None) -> ChainView | None:
    """What is told of a job that has ended; None where there is nothing that we can read.

    Parameters:
        reported: percent that was told last.
    """
    found = _json(text)
    if not isinstance(found, dict):
        return None
    if found.get("status") == JOB_STATUS.succeeded:
        return ChainView("SUCCESS", 100, "", found.get(JOB_STATUS.result))
    if found.get("status") == JOB_STATUS.failed:
        return ChainView(
            "FAILURE", int(reported or 0), str(found.get(JOB_STATUS.error) or JOB_STATUS.failed), None
        )
    return None


def _of_chain(video_id: str, view: ChainView) -> dict[str, Any]:
    status = _VIDEO_STATUS[view.status]
    result = view.result if isinstance(view.result, dict) else {}
    return _video(video_id, status, view.percent, result, (view.error or view.status))


def _final_status(video_id: str, text: bytes | None) -> dict[str, Any] | None:
    """What a worker has written at the video's end; None where there is nothing that we can read."""
    found = _json(text)
    if not isinstance(found, dict) or found.get("status") not in ("PROCESSING", "READY", "FAILED"):
        return None
    status = found["status"]
    percent = _number(found.get("progress")) or 0
    return _video(video_id, status, 100 if status == "READY" else percent, found, found.get("error_reason"))


def _video(video_id: str, status: str, percent: float, facts: dict[str, Any], reason: Any) -> dict[str, Any]:
    path, duration = (facts.get(name) for name in _VIDEO_FIELDS)
    return {
        "video_id": video_id,
        "status": status,
        "progress": percent,
        "hls_path": path if isinstance(path, str) else None,
        "duration": duration if isinstance(duration, (int, float)) else None,
        "error_reason": str(reason or status) if status == "FAILED" else None,
    }


def _percent(text: bytes | None) -> float | None:
    """A percentage as workers write it: a number, or an object with ``progress`` or ``percent``."""
    found = _json(text)
    if isinstance(found, dict):
        found = found.get("progress", found.get("percent"))
    return _number(found)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return min(100, max(0, value))


def _json(text: bytes | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None

"""A video to HLS in several renditions: probe → encode → package → publish.

Importing this package declares the workflow and needs none of the extra ``media``; running it does.
"""

from __future__ import annotations

from typing import Any

from actors.workflow import Workflow
from db.status_keys import VIDEO_STATUS

from .ladder import LADDER
from .stages import PRESETS, encode_stage, package_stage, probe_stage, publish_stage

media = Workflow(
    "media_workflow",
    [probe_stage, encode_stage, package_stage, publish_stage],
    title="동영상 인코딩",
    # Nearly all of the time goes into the encoding.
    spans=[(0.0, 0.02), (0.02, 0.97), (0.97, 0.99), (0.99, 1.0)],
    files=("mp4", "mov", "mkv", "webm"),
    needs=("imageio_ffmpeg",),
    extra="media",
    progress_key="job:video:{chain_id}:progress",
    status_key="video:{chain_id}:status",
    status_format=VIDEO_STATUS,
    accepts={
        "type": "object",
        "properties": {
            "file_path": {
                "type": "string",
                "minLength": 1,
                "description": "a video: a path, or a storage URL",
            },
            "options": {
                "type": "object",
                "properties": {
                    "max_height": {
                        "type": "integer",
                        "minimum": min(LADDER),
                        "maximum": max(LADDER),
                        "description": "the largest rendition, by its shorter side in pixels",
                    },
                    "segment_seconds": {"type": "number", "minimum": 1, "maximum": 30},
                    "preset": {
                        "enum": list(PRESETS),
                        "description": "of x264: the slower, the smaller the files",
                    },
                },
                "additionalProperties": False,
            },
        },
        "required": ["file_path"],
    },
)


def start_video_encoding(video_id: str, file_path: str, options: dict[str, Any] | None = None) -> str:
    """Start a chain for one video, whose id is the video's. Returns it.

    Parameters:
        video_id: as in ``video:<video_id>:status``.
        file_path: a path or a storage URL.
        options: see ``media.accepts``.
    """
    return media.start({"file_path": file_path, "options": options or {}}, chain_id=video_id)


__all__ = ["media", "start_video_encoding"]

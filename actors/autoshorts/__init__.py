"""Short vertical videos from a prompt: plot → images, music and voice → rendering → QA.

Importing this package declares the workflow and needs none of the extra ``autoshorts``; running it does.
"""

from __future__ import annotations

from typing import Any

from actors.workflow import Workflow, parallel

from .spec import ACCEPTS, run_id
from .stages import (
    LOG_LINES,
    SPANS,
    WEIGHTS,
    composer,
    designer,
    plot_stage,
    qa_stage,
    rendering_stage,
    voice,
)

CHANNEL = "autoshorts:progress"

autoshorts = Workflow(
    "autoshorts",
    [
        plot_stage,
        parallel(designer, composer, voice, name="ASSET_GENERATION", weights=WEIGHTS),
        rendering_stage,
        qa_stage,
    ],
    title="쇼츠 제작",
    needs=("PIL", "numpy", "httpx", "imageio_ffmpeg", "espeakng_loader"),
    extra="autoshorts",
    accepts=ACCEPTS,
    files=("csv", "jsonl"),
    channel=CHANNEL,
    spans=SPANS,
    log_lines=LOG_LINES,
    make_chain_id=run_id,
)


def start_autoshorts(prompt: str, **spec: Any) -> str:
    """Start a run. ``spec``: scenes, language, size, scene_seconds, engine. Returns the run's id."""
    return autoshorts.start({"prompt": prompt, "spec": spec}, initiated_by="api_server")


__all__ = ["autoshorts", "start_autoshorts"]

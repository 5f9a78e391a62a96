"""Texts to topics or classes: preprocessing → feature extraction → model inference → post-processing.

Importing this package declares the workflow and needs none of the extra ``ai``; running it does.
"""

from __future__ import annotations

from typing import Any

from actors.workflow import Workflow

from .options import ACCEPTS
from .stages import extract_features, infer, postprocess, preprocess

ai_pipeline = Workflow(
    "ai_pipeline",
    [preprocess, extract_features, infer, postprocess],
    title="텍스트 주제와 분류",
    files=("jsonl", "csv", "xlsx"),
    needs=("numpy", "scipy", "sklearn", "PIL", "openpyxl", "defusedxml", "xlsxwriter"),
    extra="ai",
    accepts=ACCEPTS,
    progress_key="job:{chain_id}:progress",
    status_key="job:{chain_id}:status",
)


def start_ai_pipeline(file_path: str, options: dict[str, Any] | None = None) -> str:
    """Start a chain for one file of texts. ``file_path``: a path or a storage URL. Returns the chain's id."""
    return ai_pipeline.start({"file_path": file_path, "options": options or {}}, initiated_by="api_server")


__all__ = ["ai_pipeline", "start_ai_pipeline"]

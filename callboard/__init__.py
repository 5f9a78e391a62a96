"""Callboard: tracked workflows on Dramatiq.

The public names below are handed on lazily: ``import callboard`` imports nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "StatusFormat": "db.status_keys",
    "Workflow": "actors.workflow",
    "batch_items": "actors.batches.items",
    "batch_statistics": "actors.batches.statistics",
    "batch_status": "actors.batches.status",
    "current_stage": "actors.progress",
    "files_under": "actors.batches.files",
    "parallel": "actors.workflow",
    "progress": "actors.progress",
    "publish_progress": "actors.progress",
    "resume": "actors.control",
    "retry_failed": "actors.batches.retry",
    "revoke": "actors.control",
    "revoke_batch": "actors.batches.revoke",
    "stage": "actors.workflow",
    "start_batch_pipeline": "actors.batches.start",
    "status_manager": "actors.application",
    "workflow": "actors.application",
}

__all__ = [  # noqa: PLE0604 (the names above)
    *_HOMES,
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'callboard' has no attribute {name!r}") from None
    return getattr(import_module(home), name)

"""A workbook of rows to checked records: look at the workbook → check its rows → report the errors.

Importing this package declares the workflow and needs none of the extra ``excel``; running it does.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from actors.workflow import Workflow
from callboard.errors import WorkflowError

from .schema import ACCEPTS
from .stages import check_rows, inspect, report

_NEEDED = ("openpyxl", "defusedxml", "xlsxwriter")


def check_available() -> None:
    """Check that what the stages import is installed.

    Raises:
        WorkflowError: names what is missing and how to install it.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise WorkflowError(f"excel_workflow needs {', '.join(missing)}: pip install 'callboard[excel]'")


excel_workflow = Workflow(
    "excel_workflow",
    [inspect, check_rows, report],
    title="엑셀 검증",
    files=("xlsx",),
    accepts=ACCEPTS,
    progress_key="job:{chain_id}:progress",
    status_key="job:{chain_id}:status",
)


def start_excel_pipeline(file_path: str, options: dict[str, Any] | None = None) -> str:
    """Start a chain for one workbook. ``file_path``: a path or a storage URL. Returns the chain's id."""
    return excel_workflow.start({"file_path": file_path, "options": options or {}}, initiated_by="api_server")


__all__ = ["excel_workflow", "start_excel_pipeline"]

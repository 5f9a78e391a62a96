"""A workbook of rows to checked records: look at the workbook → check its rows → report the errors.

Importing this package declares the workflow and needs none of the extra ``excel``; running it does.
"""

from __future__ import annotations

from typing import Any

from actors.workflow import Workflow

from .schema import ACCEPTS
from .stages import check_rows, inspect, report

excel_workflow = Workflow(
    "excel_workflow",
    [inspect, check_rows, report],
    title="엑셀 검증",
    files=("xlsx",),
    needs=("openpyxl", "defusedxml", "xlsxwriter"),
    extra="excel",
    accepts=ACCEPTS,
    progress_key="job:{chain_id}:progress",
    status_key="job:{chain_id}:status",
)


def start_excel_pipeline(file_path: str, options: dict[str, Any] | None = None) -> str:
    """Start a chain for one workbook. ``file_path``: a path or a storage URL. Returns the chain's id."""
    return excel_workflow.start({"file_path": file_path, "options": options or {}}, initiated_by="api_server")


__all__ = ["excel_workflow", "start_excel_pipeline"]

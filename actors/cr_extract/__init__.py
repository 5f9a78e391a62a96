"""A scanned table to an Excel file: OCR → LLM → layout → Excel.

Importing this package declares the workflow and needs none of the extra ``cr-extract``; running it does.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from actors.workflow import Workflow
from callboard.errors import WorkflowError

from .stages import excel_stage, layout_stage, llm_stage, ocr_stage

_NEEDED = ("cv2", "rapidocr", "onnxruntime", "pypdfium2", "PIL", "xlsxwriter", "httpx", "jsonschema")


def check_available() -> None:
    """Check that what the stages import is installed.

    Raises:
        WorkflowError: names what is missing and how to install it.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise WorkflowError(
            f"cr_extract_workflow needs {', '.join(missing)}: pip install 'callboard[cr-extract]'"
        )


cr_extract = Workflow(
    "cr_extract_workflow",
    [ocr_stage, llm_stage, layout_stage, excel_stage],
    title="표 추출",
    files=("png", "jpg", "tiff", "pdf"),
    accepts={
        "type": "object",
        "properties": {
            "file_path": {
                "type": "string",
                "minLength": 1,
                "description": "PNG, JPEG, TIFF or PDF: a path, or a storage URL",
            },
            "options": {
                "type": "object",
                "properties": {
                    "hangul": {"enum": ["auto", "off"]},
                    "engine": {"enum": ["auto", "rules"]},
                },
            },
        },
        "required": ["file_path"],
    },
)


def start_cr_extract_pipeline(file_path: str, options: dict[str, Any] | None = None) -> str:
    """Start a chain for one document. ``file_path``: a path or a storage URL. Returns the chain's id."""
    return cr_extract.start({"file_path": file_path, "options": options or {}}, initiated_by="api_server")


__all__ = ["cr_extract", "start_cr_extract_pipeline"]

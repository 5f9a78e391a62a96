"""A scanned table to an Excel file: OCR → LLM → layout → Excel.

Importing this package declares the workflow and needs none of the extra ``cr-extract``; running it does.
"""

from __future__ import annotations

from typing import Any

from actors.workflow import Workflow

from .stages import OPTIONS, excel_stage, layout_stage, llm_stage, ocr_stage

cr_extract = Workflow(
    "cr_extract_workflow",
    [ocr_stage, llm_stage, layout_stage, excel_stage],
    title="표 추출",
    files=("png", "jpg", "tiff", "pdf"),
    needs=("cv2", "rapidocr", "onnxruntime", "pypdfium2", "PIL", "xlsxwriter", "httpx", "jsonschema"),
    extra="cr-extract",
    accepts={
        "type": "object",
        "properties": {
            "file_path": {
                "type": "string",
                "minLength": 1,
                "description": "PNG, JPEG, TIFF or PDF: a path, or a storage URL",
            },
            "options": OPTIONS,
        },
        "required": ["file_path"],
    },
)


def start_cr_extract_pipeline(file_path: str, options: dict[str, Any] | None = None) -> str:
    """Start a chain for one document. ``file_path``: a path or a storage URL. Returns the chain's id."""
    return cr_extract.start({"file_path": file_path, "options": options or {}}, initiated_by="api_server")


__all__ = ["cr_extract", "start_cr_extract_pipeline"]

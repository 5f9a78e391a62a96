"""The four stages as Dramatiq actors: OCR → LLM → layout → Excel.

Between stages travels a small dict; words, page pictures, fields and tables lie in the chain's folder and
their URLs travel. What needs the extra ``cr-extract`` is imported when a stage runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actors.inputs import check_input, file_and_options, options_of
from actors.progress import current_stage, progress
from actors.storage import local_copy, read_json
from actors.workflow import stage
from callboard.errors import BadInput

if TYPE_CHECKING:
    from .findings import Findings
    from .hangul import HangulReader
    from .pages import PageImage
    from .words import PageWords

NO_TABLE = "no table was found"
QUEUE = "cr_extract"
#: JSON Schema of ``options``.
OPTIONS: dict[str, Any] = {
    "type": "object",
    "properties": {"hangul": {"enum": ["auto", "off"]}, "engine": {"enum": ["auto", "rules"]}},
    "additionalProperties": False,
}
_HOUR = 3_600_000


@stage(name="OCRStage", actor_name="pipeline.ocr_stage", queue_name=QUEUE, throws=BadInput, time_limit=_HOUR)
def ocr_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Read all pages.

    Args:
        document: ``file_path`` (path or storage URL) and ``options``; of these, ``hangul: "off"`` leaves
            Hangul unread even where Tesseract is installed.

    Returns:
        The document with ``words_url`` (JSON), ``image_urls`` (PNG for each page, deskewed), ``pages``,
        ``mean_confidence`` and ``warnings``.

    Raises:
        BadInput: the file cannot be read as an image or a PDF, or an option cannot be.
    """
    from .ocr import read_pages  # noqa: PLC0415
    from .pages import count_pages, iterate_pages, png  # noqa: PLC0415

    file_path, options = file_and_options(document)
    check_input({"options": options}, {"properties": {"options": OPTIONS}})
    folder = current_stage().folder
    pages: list[PageWords] = []
    image_urls: list[str] = []
    with local_copy(file_path) as path:
        count = count_pages(path)
        progress(1, substep=f"page 1 of {count}", pages=count)
        for page in read_pages(iterate_pages(path), count, _hangul_reader(options), _report):
            image_urls.append(folder.write_bytes(f"page-{page.words.number:04d}.png", png(page.image)))
            pages.append(page.words)
    return {
        **document,
        "words_url": folder.write_json("words.json", [page.to_json() for page in pages]),
        "image_urls": image_urls,
        "pages": len(pages),
        "mean_confidence": _mean_confidence(pages),
        "warnings": [
            f"page {page.number}: Hangul {page.hangul}"
            for page in pages
            if page.hangul and page.hangul.startswith("unread")
        ],
    }


@stage(name="LLMStage", actor_name="pipeline.llm_stage", queue_name=QUEUE, throws=BadInput, time_limit=_HOUR)
def llm_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Find fields: by the language model that the settings name, or by rules when they name none.

    Returns:
        The document with ``fields_url`` (JSON) and ``engine`` (``llm`` or ``rules``).

    Raises:
        StageError: the model's endpoint refuses, or its answers do not fit.
    """
    findings = _find_fields(_pages_of(document), options_of(document))
    usage: dict[str, Any] = dict(findings.usage)
    progress(100, engine=findings.engine, **usage)
    url = current_stage().folder.write_json("fields.json", findings.to_json())
    return {**document, "fields_url": url, "engine": findings.engine}


@stage(
    name="LayoutStage",
    actor_name="pipeline.layout_stage",
    queue_name=QUEUE,
    throws=BadInput,
    time_limit=_HOUR,
)
def layout_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Find tables, and do their sums again.

    Returns:
        The document with ``tables_url`` (JSON); the checks of the tables join those of the fields.
    """
    from .checks import check_table, mark_reviews  # noqa: PLC0415
    from .findings import Findings  # noqa: PLC0415
    from .layout import find_tables  # noqa: PLC0415

    tables = []
    for page, image in zip(_pages_of(document), _images_of(document), strict=True):
        tables += find_tables(page, image)
        _report(90.0 * page.number / document["pages"], f"page {page.number} of {document['pages']}")
    checks = [check_table(table, index) for index, table in enumerate(tables)]
    tables = [mark_reviews(table, own) for table, own in zip(tables, checks, strict=True)]
    findings = Findings.from_json(read_json(document["fields_url"]))
    findings = replace(findings, checks=[*findings.checks, *(check for own in checks for check in own)])
    warnings = [*document["warnings"], *([] if tables else [NO_TABLE])]
    folder = current_stage().folder
    progress(100, tables=len(tables))
    return {
        **document,
        "fields_url": folder.write_json("findings.json", findings.to_json()),
        "tables_url": folder.write_json("tables.json", [table.to_json() for table in tables]),
        "warnings": warnings,
    }


@stage(
    name="ExcelStage", actor_name="pipeline.excel_stage", queue_name=QUEUE, throws=BadInput, time_limit=_HOUR
)
def excel_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Write the Excel file.

    Returns:
        The chain's final result: ``excel_url``, ``tables``, ``rows``, ``cells`` (not empty), ``pages``,
        ``mean_confidence`` (None without words), ``engine``, ``needs_review`` (how many cells, fields and
        sums a person has to look at) and ``warnings``.
    """
    from .excel import write_excel  # noqa: PLC0415
    from .findings import Findings  # noqa: PLC0415
    from .tables import Table  # noqa: PLC0415

    tables = [Table.from_json(value) for value in read_json(document["tables_url"])]
    findings = Findings.from_json(read_json(document["fields_url"]))
    content, counts = write_excel(tables, replace(findings, warnings=document["warnings"]))
    marked = sum(1 for table in tables for cell in table.cells if cell.review or cell.unread)
    return {
        "excel_url": current_stage().folder.write_bytes("tables.xlsx", content),
        "tables": counts.tables,
        "rows": counts.rows,
        "cells": counts.cells,
        "pages": document["pages"],
        "mean_confidence": document["mean_confidence"],
        "engine": findings.engine,
        "needs_review": marked
        + sum(1 for field in findings.fields if field.review)
        + sum(1 for check in findings.checks if not check.passed and check.table is None),
        "warnings": document["warnings"],
    }


def _hangul_reader(options: dict[str, Any]) -> HangulReader | None:
    from .hangul import find_hangul_reader  # noqa: PLC0415

    return None if options.get("hangul") == "off" else find_hangul_reader()


def _find_fields(pages: list[PageWords], options: dict[str, Any]) -> Findings:
    from callboard.settings import Settings  # noqa: PLC0415

    from . import llm, rules  # noqa: PLC0415

    settings = Settings.from_environment()
    if not settings.llm_base_url or not settings.llm_model or options.get("engine") == "rules":
        return rules.find_fields(pages)
    client = llm.LlmClient(
        settings.llm_base_url, settings.llm_model, settings.llm_api_key, settings.llm_timeout
    )
    return llm.find_fields(pages, client, _report)


def _pages_of(document: dict[str, Any]) -> list[PageWords]:
    from .words import PageWords  # noqa: PLC0415

    return [PageWords.from_json(value) for value in read_json(document["words_url"])]


def _images_of(document: dict[str, Any]) -> Iterator[PageImage]:
    from .pages import open_pages  # noqa: PLC0415

    for url in document["image_urls"]:
        with local_copy(url) as path:
            yield open_pages(path)[0]


def _mean_confidence(pages: list[PageWords]) -> float | None:
    known = [confidence for page in pages if (confidence := page.mean_confidence) is not None]
    return round(sum(known) / len(known), 4) if known else None


def _report(percent: float, substep: str) -> None:
    # A stage that has begun shows at least 1 %.
    progress(max(min(percent, 100.0), 1.0), substep=substep)

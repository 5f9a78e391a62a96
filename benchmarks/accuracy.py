"""How much of a table arrives as it stands in the picture.

    python -m benchmarks.accuracy                            # the samples
    python -m benchmarks.accuracy --generate 60 --seed 1     # random tables, drawn for the occasion
    python -m benchmarks.accuracy --no-tesseract             # as on a machine without Tesseract
    python -m benchmarks.accuracy my/table.png               # files with a truth of the same name in JSON

A cell counts when it is found in its row and column and says the same; one that is a number or a date when
its value is the same. Structure counts rows, columns and spans of cells.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.cr_extract.hangul import HangulReader, find_hangul_reader, has_hangul
from actors.cr_extract.layout import find_tables
from actors.cr_extract.ocr import read_pages
from actors.cr_extract.pages import open_pages
from actors.cr_extract.tables import Table
from actors.cr_extract.values import habits_of, typed
from benchmarks.generate import drawings

SAMPLES = Path(__file__).parents[1] / "samples"
CLEAN_SAMPLES = (
    "invoice_ruled.png",
    "table_unruled.png",
    "korean_english.png",
    "statement.pdf",
    "no_table.png",
    "report_two_tables.png",
)


@dataclass
class Score:
    """Cells right and in all, by kind; seconds and pages; what went wrong, in words."""

    numeric: int = 0
    numeric_total: int = 0
    text: int = 0
    text_total: int = 0
    structure: int = 0
    structure_total: int = 0
    seconds: float = 0.0
    pages: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Take another score into this one."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def line(self, name: str) -> str:
        """One line of the report."""
        parts = [f"{name:<44}"]
        for label in ("numeric", "text", "structure"):
            right, total = getattr(self, label), getattr(self, f"{label}_total")
            share = f"{100 * right / total:6.2f} %" if total else "     –  "
            parts.append(f"{label} {share} ({right}/{total})")
        parts.append(f"{self.seconds / max(self.pages, 1):.2f} s/page")
        return "  ".join(parts)


def extract(path: Path, hangul_reader: HangulReader | None) -> tuple[list[Table], int]:
    """The tables of a document and the number of its pages, by the pure functions of the stages."""
    images = open_pages(path)
    tables: list[Table] = []
    for page in read_pages(images, len(images), hangul_reader):
        tables += find_tables(page.words, page.image)
    return tables, len(images)


def score(path: Path, truth: dict[str, Any], hangul_reader: HangulReader | None) -> Score:
    """Extract a document and compare it with its truth."""
    started = time.perf_counter()
    tables, pages = extract(path, hangul_reader)
    result = Score(seconds=time.perf_counter() - started, pages=pages)
    left = list(tables)
    for expected in truth["tables"]:
        candidates = [table for table in left if table.page == expected["page"]]
        scores = [_compare(expected, table, hangul_reader) for table in candidates]
        if not candidates:
            result.add(_compare(expected, None, hangul_reader))
            continue
        best = max(range(len(scores)), key=lambda index: scores[index].numeric + scores[index].text)
        left.remove(candidates[best])
        result.add(scores[best])
    for table in left:
        result.structure_total += 1
        result.faults.append(
            f"a table that is not there: {table.rows} × {table.columns} on page {table.page}"
        )
    return result


def _compare(expected: dict[str, Any], table: Table | None, hangul_reader: HangulReader | None) -> Score:
    result = Score(structure_total=2 + len(expected["cells"]))
    found = {(cell.row, cell.column): cell for cell in table.cells} if table else {}
    if table is None:
        result.faults.append("a table was not found")
    else:
        result.structure += (table.rows == expected["rows"]) + (table.columns == expected["columns"])
        if (table.rows, table.columns) != (expected["rows"], expected["columns"]):
            result.faults.append(
                f"{table.rows} × {table.columns} instead of {expected['rows']} × {expected['columns']}"
            )
    habits = habits_of(cell["text"] for cell in expected["cells"])
    read_habits = habits_of(cell.text for cell in found.values())
    for cell in expected["cells"]:
        got = found.get((cell["row"], cell["column"]))
        text = " ".join(got.text.split()) if got else ""
        if got:
            spans = (got.row_span, got.column_span) == (cell["row_span"], cell["column_span"])
            result.structure += spans
        value, read = typed(cell["text"], habits), typed(text, read_habits)
        if value.kind == "text":
            if hangul_reader is None and has_hangul(cell["text"]):
                continue
            result.text_total += 1
            right = text == cell["text"]
            result.text += right
        else:
            result.numeric_total += 1
            right = (value.number, value.day) == (read.number, read.day)
            result.numeric += right
        if not right:
            place = f"row {cell['row'] + 1}, column {cell['column'] + 1}"
            result.faults.append(f"{place}: {cell['text']!r} was read as {text!r}")
    return result


def main() -> int:
    """Print the report; exit status 1 when a clean set has less than 98 % of its numeric cells right."""
    parser = argparse.ArgumentParser(description="Cell accuracy of cr_extract.")
    parser.add_argument("files", nargs="*", type=Path, help="documents with a truth of the same name in JSON")
    parser.add_argument("--generate", type=int, default=0, metavar="N", help="draw N random tables instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-tesseract", action="store_true", help="as if Tesseract were not installed")
    parser.add_argument("--faults", action="store_true", help="list each wrong cell")
    parser.add_argument("--keep", type=Path, help="folder to keep generated drawings in that have faults")
    options = parser.parse_args()
    reader = None if options.no_tesseract else find_hangul_reader()
    totals = {"clean": Score(), "scan": Score()}
    if options.generate:
        _run_generated(options, reader, totals)
    else:
        names = options.files or [SAMPLES / name for name in (*CLEAN_SAMPLES, "scan_rotated_noisy.jpg")]
        for path in names:
            truth = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            kind = "clean" if options.files or path.name in CLEAN_SAMPLES else "scan"
            _report(path.name, score(path, truth, reader), totals[kind], options.faults)
    for kind, total in totals.items():
        if total.pages:
            print(total.line(f"all that are {kind}"))
    clean = totals["clean"]
    return int(clean.numeric < 0.98 * clean.numeric_total)


def _run_generated(
    options: argparse.Namespace, reader: HangulReader | None, totals: dict[str, Score]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for drawing in drawings(options.generate, options.seed):
            path = Path(folder) / "drawing.png"
            drawing.image.save(path)
            result = score(path, drawing.truth, reader)
            if options.keep and result.faults:
                options.keep.mkdir(parents=True, exist_ok=True)
                drawing.image.save(options.keep / f"{drawing.name.split()[0]}.png")
            _report(f"{drawing.name} {drawing.kind}", result, totals[drawing.kind], options.faults)


def _report(name: str, result: Score, total: Score, faults: bool) -> None:
    print(result.line(name), flush=True)
    if faults:
        for fault in result.faults:
            print(f"    {fault}", flush=True)
    total.add(result)


if __name__ == "__main__":
    sys.exit(main())

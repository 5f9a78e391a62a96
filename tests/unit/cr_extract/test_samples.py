"""The samples, read and laid out for real."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from actors.cr_extract.hangul import find_hangul_reader
from actors.cr_extract.layout import find_tables
from actors.cr_extract.ocr import read_page
from actors.cr_extract.rules import find_fields
from actors.cr_extract.tables import Table
from actors.cr_extract.values import habits_of, typed
from actors.cr_extract.words import HANGUL_READ, HANGUL_UNREAD, PageWords

needs_hangul = pytest.mark.skipif(find_hangul_reader() is None, reason="tesseract with kor is not installed")
CLEAN = [
    "invoice_ruled.png",
    "table_unruled.png",
    "korean_english.png",
    "statement.pdf",
    "report_two_tables.png",
]


def tables_of(samples: Any, name: str, *, hangul: bool = False) -> list[Table]:
    return [
        table for page in samples.read(name, hangul=hangul) for table in find_tables(page.words, page.image)
    ]


def wrong_figures(samples: Any, name: str, tables: list[Table]) -> tuple[list[str], int]:
    """The figures of a sample that were not read right, and how many figures it has."""
    expected = samples.truth(name)["tables"]
    assert [(table["rows"], table["columns"]) for table in expected] == [(t.rows, t.columns) for t in tables]
    wrong, total = [], 0
    for truth, table in zip(expected, tables, strict=True):
        habits = habits_of(cell["text"] for cell in truth["cells"])
        texts = table.texts()
        for cell in truth["cells"]:
            value = typed(cell["text"], habits)
            if value.kind == "text":
                continue
            total += 1
            read = typed(texts[cell["row"]][cell["column"]], habits)
            if (read.number, read.day) != (value.number, value.day):
                wrong.append(f"{cell['text']} was read as {read.text}")
    return wrong, total


@pytest.mark.parametrize("name", [*CLEAN, "scan_rotated_noisy.jpg"])
def test_at_least_98_of_100_figures_are_right(samples: Any, name: str) -> None:
    wrong, total = wrong_figures(samples, name, tables_of(samples, name))
    assert total >= 18
    assert len(wrong) <= 0.02 * total, wrong


def test_merged_cells_of_the_invoice_are_kept(samples: Any) -> None:
    (table,) = tables_of(samples, "invoice_ruled.png")
    spans = {cell.text: (cell.row_span, cell.column_span) for cell in table.cells if cell.text}
    assert spans["Code"] == spans["Description"] == (2, 1)
    assert spans["Order"] == (1, 3)
    assert spans["Subtotal"] == spans["VAT 10%"] == spans["Total"] == (1, 4)


def test_the_fields_of_the_invoice(samples: Any) -> None:
    (page,) = samples.read("invoice_ruled.png")
    found = {field.label: field.value for field in find_fields([page.words]).fields}
    assert samples.truth("invoice_ruled.png")["fields"].items() <= found.items()


def test_a_letter_has_no_table(samples: Any) -> None:
    assert tables_of(samples, "no_table.png") == []


def test_words_survive_json(samples: Any) -> None:
    words = samples.read("invoice_ruled.png")[0].words
    assert PageWords.from_json(words.to_json()) == words


def test_the_scan_is_turned_upright(samples: Any) -> None:
    (page,) = samples.read("scan_rotated_noisy.jpg")
    assert abs(abs(page.words.angle) - 2.1) < 0.2
    assert page.image.shape[:2] == (page.words.height, page.words.width)


def test_hangul_that_cannot_be_read_is_said_and_never_garbage(samples: Any) -> None:
    (page,) = samples.read("korean_english.png", hangul=False)
    assert page.words.hangul == HANGUL_UNREAD
    assert any(word.unread for word in page.words.words)
    assert all(character.isascii() for word in page.words.words for character in word.text)
    (table,) = tables_of(samples, "korean_english.png", hangul=False)
    assert sum(1 for cell in table.cells if cell.unread) >= 11


def test_pages_without_hangul_do_not_speak_of_it(samples: Any) -> None:
    for name in ("invoice_ruled.png", "no_table.png", "statement.pdf"):
        assert [page.words.hangul for page in samples.read(name)] == [None] * len(samples.read(name))


@needs_hangul
def test_hangul_is_read_with_tesseract(samples: Any) -> None:
    (page,) = samples.read("korean_english.png", hangul=True)
    assert page.words.hangul == HANGUL_READ
    text = " ".join(page.words.lines())
    for expected in (
        "품목",
        "수량",
        "단가",
        "금액",
        "공급가액",
        "부가세",
        "합계",
        "Office chair",
        "KR-2024-1108",
    ):
        assert expected in text
    wrong, _ = wrong_figures(
        samples, "korean_english.png", tables_of(samples, "korean_english.png", hangul=True)
    )
    assert wrong == []


def test_an_empty_page_has_no_words() -> None:
    page = read_page(np.full((300, 400, 3), 255, np.uint8), 1, None)
    assert page.words.words == []
    assert page.words.mean_confidence is None
    assert find_tables(page.words, page.image) == []


def test_samples_are_small(samples: Any) -> None:
    sizes = {path.name: path.stat().st_size for path in samples.folder.iterdir() if path.is_file()}
    assert max(sizes.values()) < 300_000, sizes


def test_the_modules_are_imported_without_the_heavy_libraries() -> None:
    code = (
        "import sys\n"
        "heavy = 'cv2 rapidocr onnxruntime pypdfium2 PIL xlsxwriter httpx numpy'\n"
        "for name in heavy.split():\n"
        "    sys.modules[name] = None\n"
        "import actors.cr_extract\n"
        "print(*actors.cr_extract.__all__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cr_extract", "start_cr_extract_pipeline"]

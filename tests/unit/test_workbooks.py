"""Workbooks from elsewhere: what is no workbook, and what would be too much."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from actors import workbooks
from actors.workbooks import open_workbook, pick_sheet, rows_of
from callboard.errors import BadInput

SHEET = "xl/worksheets/sheet1.xml"
HEAD = '<?xml version="1.0"?>'
NAMES = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def workbook(path: Path, **parts: str) -> Path:
    """A small workbook with some of its parts replaced; ``sheet`` is the XML of its sheet."""
    openpyxl.Workbook().save(path)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    if "sheet" in parts:
        content[SHEET] = parts["sheet"].encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def sheet_of(rows: str, dimension: str = "") -> str:
    return f"{HEAD}<worksheet {NAMES}>{dimension}<sheetData>{rows}</sheetData></worksheet>"


def read(path: Path) -> list[tuple[int, tuple[Any, ...]]]:
    with open_workbook(path) as book:
        return list(rows_of(pick_sheet(book, None)))


def test_values_and_not_formulas_are_read(tmp_path: Path) -> None:
    rows = '<row r="2"><c r="B2"><f>1+1</f><v>2</v></c><c r="C2"><f>NOW()</f></c></row>'
    assert read(workbook(tmp_path / "a", sheet=sheet_of(rows))) == [(2, (None, 2, None))]


def test_a_dimension_is_not_believed(tmp_path: Path) -> None:
    rows = '<row r="1"><c r="A1"><v>1</v></c></row>'
    for claim in ("A1:XFD1048576", "A1", "nonsense"):
        path = workbook(tmp_path / "a", sheet=sheet_of(rows, f'<dimension ref="{claim}"/>'))
        began = time.monotonic()
        try:
            assert read(path) == [(1, (1,))]
        except BadInput:
            assert claim == "nonsense"
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('<row r="1"><c r="XFD1"><v>1</v></c></row>', "row 1 reaches column 16384"),
        ('<row r="999999999"><c r="A999999999"><v>1</v></c></row>', None),
        ('<row r="1"><c r="A1"><v>1</v></c></row><row r="600000"><c r="A600000"><v>1</v></c></row>', None),
        ('<row r="1"><c r="A1"><v>1</v>', "damaged"),
        ('<row r="x"/>', "damaged"),
    ],
)
def test_cells_that_lie_far_out(tmp_path: Path, rows: str, said: str | None) -> None:
    path = workbook(tmp_path / "a", sheet=sheet_of(rows))
    if said is None:
        assert len(read(path)) <= 1
        return
    with pytest.raises(BadInput, match=said):
        read(path)


def test_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    rows = '<row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row>'
    assert read(workbook(tmp_path / "a", sheet=sheet_of(rows.replace("&b;", "b")))) == [(1, ("b",))]
    path = workbook(tmp_path / "a", sheet=sheet_of(rows).replace(HEAD, HEAD + bomb))
    with pytest.raises(BadInput, match="damaged"):
        read(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_BYTES", 1 << 20)
    path = workbook(tmp_path / "a", sheet=sheet_of(" " * (8 << 20)))
    assert path.stat().st_size < 50_000
    with pytest.raises(BadInput, match="unpacked, the workbook has"):
        read(path)


def test_what_an_archive_claims_is_all_that_it_gives(tmp_path: Path) -> None:
    """A size in the directory that is too small ends the reading."""
    path = workbook(tmp_path / "a", sheet=sheet_of('<row r="1"><c r="A1"><v>1</v></c></row>' + " " * 100_000))
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02", 0, data.rfind(SHEET.encode()))
    data[entry + 24 : entry + 28] = (600).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BadInput, match="damaged"):
        read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no Excel workbook"),
        (b"a,b\n1,2\n", "no Excel workbook"),
        (b"PK\x03\x04" + b"x" * 100, "no Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "old workbook|password"),
    ],
)
def test_what_is_no_workbook(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read(path)


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
        archive.writestr("[Content_Types].xml", "<x/>")
    with pytest.raises(BadInput, match="an archive of something else"):
        read(tmp_path / "a")


def test_the_first_sheet_that_is_shown_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["a list of choices"])
    book.active.sheet_state = "hidden"
    book.create_sheet("orders").append(["an order"])
    book.save(tmp_path / "a")
    assert read(tmp_path / "a") == [(1, ("an order",))]
    with open_workbook(tmp_path / "a") as opened:
        assert list(rows_of(pick_sheet(opened, "Sheet"))) == [(1, ("a list of choices",))]

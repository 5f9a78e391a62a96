"""Excel workbooks from elsewhere, read row by row and within bounds. Formulas are not run.

A workbook is a zip archive of XML. What it claims to hold is added up before anything is unpacked, and no
part of it gives more than it claims. Entities in its XML are refused (by defusedxml, for openpyxl), and
so are cells and rows that lie absurdly far out.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError

from callboard.errors import BadInput

#: Bytes that all parts of a workbook may have when they are unpacked.
MOST_BYTES = 1 << 30
#: Bytes of its table of texts, which is held in memory.
MOST_SHARED = 128 << 20
#: Parts of the archive.
MOST_PARTS = 10_000
#: Rows and columns of a sheet; Excel itself has 1,048,576 and 16,384.
MOST_ROWS = 500_000
MOST_COLUMNS = 1_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAMAGED = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    EOFError,
    ParseError,
    OSError,
    NotImplementedError,
)


def is_workbook(start: bytes) -> bool:
    """Whether a file that starts so may be an .xlsx."""
    return start.startswith(b"PK\x03\x04")


@contextmanager
def written_workbook(file: IO[bytes], **options: Any) -> Iterator[Any]:
    """An xlsxwriter workbook in which text stays text; ``file`` has it when the block ends.

    It is made on the disk, so that memory does not grow with it.

    Parameters:
        options: more of xlsxwriter's.
    """
    import xlsxwriter  # noqa: PLC0415 (an extra)

    as_text = dict.fromkeys(("strings_to_formulas", "strings_to_numbers", "strings_to_urls"), False)
    with tempfile.TemporaryDirectory(prefix="callboard-") as folder:
        path = Path(folder) / "workbook.xlsx"
        with xlsxwriter.Workbook(str(path), {"tmpdir": folder, **as_text, **options}) as book:
            yield book
        with path.open("rb") as made:
            shutil.copyfileobj(made, file, 1 << 20)


@contextmanager
def open_workbook(path: Path) -> Iterator[Any]:
    """An .xlsx file as openpyxl's read-only workbook, its dimensions not believed.

    Raises:
        BadInput: it is no such file, is damaged, or holds more than the bounds above.
    """
    import openpyxl  # noqa: PLC0415 (an extra)

    _check_archive(path)
    # By its content: openpyxl judges a path by its extension.
    with path.open("rb") as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        except _DAMAGED as error:
            raise BadInput(f"no Excel workbook (.xlsx), or a damaged one: {_said(error)}") from error
        try:
            yield book
        finally:
            book.close()


def pick_sheet(book: Any, name: str | None) -> Any:
    """The sheet of that name, or the first that is shown and has cells (not a chart).

    Raises:
        BadInput: there is none.
    """
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if name is not None and name not in sheets:
        raise BadInput(
            f"options.sheet: read {name!r}, the workbook has {', '.join(map(repr, sheets)) or 'none'}"
        )
    if not sheets:
        raise BadInput("the workbook has no sheet with cells")
    if name is not None:
        return sheets[name]
    shown = [sheet for sheet in sheets.values() if sheet.sheet_state == "visible"]
    # Lists for the choices of cells are often kept in a hidden one.
    return next(iter([*shown, *sheets.values()]))


def claimed_rows(sheet: Any) -> int:
    """How many rows a sheet says it has, which need not be true; to be asked before they are read."""
    return min(max(sheet.max_row or 0, 1), MOST_ROWS)


def share_read(row: int, claimed: int) -> float:
    """The share of a sheet (0 to 1) that is read by a row, as far as can be told."""
    return row / max(row + 1, claimed)


def rows_of(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The rows of a sheet that hold anything, each with its number from 1, as the stored values of its cells.

    Raises:
        BadInput: the sheet is damaged, or reaches out too far.
    """
    sheet.reset_dimensions()
    number = 0
    try:
        for number, row in enumerate(sheet.iter_rows(max_row=MOST_ROWS + 1, values_only=True), start=1):
            if number > MOST_ROWS and any(value is not None for value in row):
                raise BadInput(f"the sheet has more than {MOST_ROWS} rows: split it")
            if len(row) > MOST_COLUMNS and any(value is not None for value in row[MOST_COLUMNS:]):
                raise BadInput(f"row {number} reaches column {len(row)}, a sheet may have {MOST_COLUMNS}")
            if any(value is not None and value != "" for value in row):
                yield number, row[:MOST_COLUMNS]
    except _DAMAGED as error:
        raise BadInput(f"sheet {sheet.title!r} is damaged after row {number}: {_said(error)}") from error


def _check_archive(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(8)
    if start == _OLE:
        raise BadInput("an old workbook (.xls), or one with a password: save it as .xlsx without one")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except _DAMAGED as error:
        raise BadInput(f"no Excel workbook (.xlsx): {_said(error)}") from error
    names = {part.filename for part in parts}
    if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
        raise BadInput("no Excel workbook (.xlsx): an archive of something else")
    if len(parts) > MOST_PARTS:
        raise BadInput(f"the workbook has {len(parts)} parts, at most {MOST_PARTS} are read")
    size = sum(part.file_size for part in parts)
    if size > MOST_BYTES:
        raise BadInput(f"unpacked, the workbook has {size} bytes, at most {MOST_BYTES} are read")
    shared = max(
        (part.file_size for part in parts if part.filename.lower().endswith("sharedstrings.xml")), default=0
    )
    if shared > MOST_SHARED:
        raise BadInput(f"the workbook's table of texts has {shared} bytes, at most {MOST_SHARED} are read")
    if len(names) != len(parts):
        raise BadInput("the workbook has two parts of one name")


def _said(error: Exception) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]

"""Kinds of files by their first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

import samples
from api.kinds import kind_of, names_of

SAMPLES = Path(samples.__file__).parent


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x20ftypisom\0\0", "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0", "mov"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "mov"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "webm"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", "mkv"),
        (b"\x1aE\xdf\xa3\x9fB\x86", None),
        (b"a,b\n1,2\n", "csv"),
        ("이름,나이\n김,3\n".encode(), "csv"),
        ("이름,나이\n김,3\n".encode("cp949"), "csv"),
        ("이름,나이\n김,3\n".encode("utf-16"), "csv"),
        ("이름".encode()[:-1], "csv"),
        (b'\xef\xbb\xbf{"text": "a"}\n', "jsonl"),
        (b'{"text": "' + b"x" * 200_000, "jsonl"),
        (b'{\n "text": 1\n}', None),
        (b'[{"text": 1}]', None),
        (b"<html>", None),
        (b"", None),
        (b" \n ", None),
        (b"abc\0def", None),
        (b"MZ\x90\0\3\0\0\0", None),
        (b"PK\x03\x04" + b"\0" * 22 + b"\x08\0\0\0mimetype", None),
        (b"PK\x05\x06" + b"\0" * 18, None),
    ],
)
def test_kinds(start: bytes, kind: str | None) -> None:
    assert kind_of(start) == kind


def test_samples() -> None:
    kinds = {path.name: kind_of(path.read_bytes()[: 1 << 18]) for path in SAMPLES.iterdir() if path.is_file()}
    assert kinds["orders_with_errors.xlsx"] == "xlsx"
    assert kinds["texts_english.csv"] == "csv"
    assert kinds["texts_korean.jsonl"] == "jsonl"
    assert kinds["statement.pdf"] == "pdf"


def test_workbooks_of_either_library(tmp_path: Path) -> None:
    import openpyxl  # noqa: PLC0415

    openpyxl.Workbook().save(tmp_path / "a.xlsx")
    assert kind_of((tmp_path / "a.xlsx").read_bytes()) == "xlsx"


def test_names() -> None:
    assert names_of(("png", "pdf")) == "PNG or PDF"
    assert names_of(("xlsx",)) == "Excel (.xlsx)"
    assert names_of(None).endswith(" or Matroska")

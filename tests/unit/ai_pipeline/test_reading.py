"""Texts from files of every kind and encoding, and what is said of those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from actors.ai_pipeline.options import Options, check_input
from actors.ai_pipeline.reading import Record, inline_records, open_records
from callboard.errors import BadInput

ROWS = [["id", "comment", "분류"], ["a1", "금리가 올랐다", "경제"], ["a2", 'He said "go", twice', None]]


def read(path: Path, **options: Any) -> list[Record]:
    with open_records(path, Options(**options)) as records:
        found = list(records)
    shares = [share for _, share in found]
    assert shares == sorted(shares)
    assert not shares or 0 < shares[-1] <= 1
    return [record for record, _ in found]


def essence(records: list[Record]) -> list[tuple[Any, ...]]:
    return [(record.row, record.text, record.label, record.id) for record in records]


EXPECTED = [(2, "금리가 올랐다", "경제", "a1"), (3, 'He said "go", twice', None, "a2")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv(tmp_path: Path, encoding: str, delimiter: str) -> None:
    lines = [
        delimiter.join(ROWS[0]),
        delimiter.join(ROWS[1]),
        delimiter.join(["a2", '"He said ""go"", twice"', ""]),
    ]
    path = tmp_path / "a.bin"
    path.write_text("\r\n".join(lines), encoding=encoding)
    assert essence(read(path)) == EXPECTED


def test_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    other = book.create_sheet("다른")
    other.append(["text"])
    other.append(["한 줄"])
    book.save(tmp_path / "a.xlsx")
    (tmp_path / "a.xlsx").rename(tmp_path / "without-extension")
    assert essence(read(tmp_path / "without-extension")) == EXPECTED
    assert essence(read(tmp_path / "without-extension", sheet="다른")) == [(2, "한 줄", None, None)]
    with pytest.raises(BadInput, match=r"options.sheet: read 'x', the workbook has 'Sheet', '다른'"):
        read(tmp_path / "without-extension", sheet="x")


def test_json_lines_with_bad_ones_among_them(tmp_path: Path) -> None:
    lines = ['{"text": "하나", "label": 3}', "", "{broken", "[1]", '{"text": ["x"]}', '{"other": 1}']
    path = tmp_path / "a"
    path.write_text("\n".join(lines), "utf-8")
    found = read(path)
    assert [record.row for record in found] == [1, 3, 4, 5, 6]
    assert (found[0].text, found[0].label, found[0].problem) == ("하나", "3", None)
    assert (found[1].problem or "").startswith("no JSON")
    assert found[2].problem == "expected an object or a text"
    assert (found[3].problem or "").startswith("text: read")
    assert (found[4].text, found[4].problem) == (None, None)


def test_the_column_of_texts_is_found_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "이름,지역,어쩌고\n김,서울,배송이 늦어서 속상했습니다\n이,부산,친절하고 빨랐어요\n", "utf-8"
    )
    assert [record.text for record in read(path)] == ["배송이 늦어서 속상했습니다", "친절하고 빨랐어요"]
    assert [record.text for record in read(path, text_column="이름")] == ["김", "이"]
    with pytest.raises(
        BadInput, match=r"options.text_column: read '내용', the file has the columns 이름, 지역"
    ):
        read(path, text_column="내용")


def test_a_file_of_lines_without_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("첫 번째 문장입니다\n두 번째 문장입니다\n", "utf-8")
    assert [record.row for record in read(path)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b" \n ", "the file is empty"),
        (b'[{"text": "a"}]', "JSON lines"),
        (b"\xff\x81\x00abc", "is not utf-8 or cp949 text|NUL"),
        (b'text\n"never closed\n' + b"x" * (1 << 21), "quote left open"),
        (b"text\n\0\0\n", "NUL"),
        (b"PK\x03\x04" + b"x" * 100, "no Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "not utf-8|NUL|old workbook"),
        (b'{"text": "' + b"x" * (2 << 20) + b'"}', "line 1 is longer"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read(path)


def test_utf_16_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\n하나\n".encode("utf-16-le"))
    with pytest.raises(BadInput, match="is not utf-16 text"):
        read(path, encoding="utf-16")


def test_texts_of_the_input_itself() -> None:
    found = [
        record for record, _ in inline_records(["하나", {"text": "둘", "label": "x", "id": 7}, {"no": 1}])
    ]
    assert essence(found) == [(1, "하나", None, None), (2, "둘", "x", "7"), (3, None, None, None)]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "the input needs file_path or texts"),
        ([], r"the input: \[\] is not of type 'object'"),
        ({"file_path": ""}, "file_path"),
        ({"texts": []}, "texts"),
        ({"texts": ["a"] * 5001}, "texts"),
        ({"texts": ["a"], "file_path": "b"}, "both"),
        ({"file_path": "a", "options": {"topics": 1}}, "options.topics: 1 is less than the minimum of 2"),
        ({"file_path": "a", "options": {"task": "guess"}}, "options.task"),
        ({"file_path": "a", "options": {"colour": 1}}, "'colour' was unexpected"),
        ({"file_path": "a", "options": {"sheet": "x" * 9000}}, "^options.sheet: 'xx.{,300}xx' is too long$"),
    ],
)
def test_inputs_that_do_not_fit(document: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_input(document)


def test_samples_are_as_their_script_makes_them(tmp_path: Path) -> None:
    from samples import texts  # noqa: PLC0415

    texts.main(tmp_path)
    kept = Path(texts.__file__).parent
    for name in ("texts_korean.jsonl", "texts_english.csv"):
        assert (tmp_path / name).read_bytes() == (kept / name).read_bytes()
    assert json.loads((kept / "texts_korean.jsonl").read_text("utf-8").splitlines()[0])["id"] == "ko-0001"

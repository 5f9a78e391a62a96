"""Fields without a language model: labels and values that stand side by side, dates, amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

from .checks import check_fields, role_of
from .findings import RULES, Field, Findings, make_field
from .values import Habits, habits_of, is_figure
from .words import PageWords, Word, text_rows

_LABELLED = re.compile(r"(?P<label>[^:：]{1,40}?)\s*[:：]\s*(?P<value>\S.*)")
_KNOWN = re.compile(
    r"(?P<label>(?:invoice|order|quote|customer|account|reference|receipt|document|delivery note)\s*"
    r"(?:no\.?|number|nr\.?|id|#)|invoice date|due date|date|tax id|vat no\.?|po number|"
    r"grand total|sub-?\s?total|total due|amount due|balance due|total|vat(?: \d+(?:[.,]\d+)? ?%)?|"
    r"tax(?: \d+(?:[.,]\d+)? ?%)?|"
    r"거래번호|문서번호|송장번호|주문번호|사업자등록번호|등록번호|계좌번호|거래일자|발행일자?|작성일자?|납기일|일자|"
    r"공급자|공급받는자|상호|대표자|공급가액|부가세|부가가치세|세액|소계|합계금액|합계|총액|총금액)"
    r"\s*[:：]?\s*(?P<value>\S.*)?",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[/.]\d{1,2}[/.]\d{4}\b|\d{4}년 ?\d{1,2}월 ?\d{1,2}일"
)
_AMOUNT = re.compile(r"[$€£₩¥]\s?\d[\d.,]*\d|\b\d{1,3}(?:,\d{3})+(?:\.\d{2})?\b|\b\d+[.,]\d{2}\b(?!\d|%)")
_DOUBTFUL = 0.8


def find_fields(pages: list[PageWords]) -> Findings:
    """The fields of a document and the checks over them, by rules alone."""
    habits = habits_of(word.text for page in pages for word in page.words)
    fields: list[Field] = []
    seen: set[tuple[str, str]] = set()
    for page in pages:
        for field in _fields_of(page, habits):
            if (field.label, field.value) not in seen:
                seen.add((field.label, field.value))
                fields.append(field)
    checks = check_fields(fields)
    if any(not check.passed for check in checks):
        fields = [_marked(field) if role_of(field.label) else field for field in fields]
    return Findings(RULES, fields, checks)


def _marked(field: Field) -> Field:
    return Field(**{**vars(field), "review": "sum + tax is not the total"})


def _fields_of(page: PageWords, habits: Habits) -> Iterator[Field]:
    for row in text_rows(page.words):
        pieces = _pieces(row)
        texts = [" ".join(word.text for word in piece if word.text) for piece in pieces]
        index, found = 0, False
        while index < len(pieces):
            pair = _pair(texts[index], texts[index + 1] if index + 1 < len(texts) else "")
            used = pair[2] if pair else 1
            if pair:
                words = [word for piece in pieces[index : index + used] for word in piece]
                yield _field(pair[0], pair[1], habits, page.number, words)
                found = True
            index += used
        if not found and len(pieces) == 1:
            yield from _loose(texts[0], habits, page.number, row)


def _pair(text: str, following: str) -> tuple[str, str, int] | None:
    """Label, value, and the number of pieces they took; None for a piece that is no label."""
    bare = text.rstrip(" :：")
    if text != bare and following and _is_label(bare):
        return bare, following, 2
    labelled = _LABELLED.fullmatch(text)
    if labelled and _is_label(labelled["label"]) and not labelled["value"].startswith("//"):
        return labelled["label"], labelled["value"], 1
    known = _KNOWN.fullmatch(text)
    if known is None:
        return None
    if known["value"] and (is_figure(known["value"]) or any(c.isdigit() for c in known["value"].split()[0])):
        return known["label"], known["value"], 1
    if not known["value"] and following and (is_figure(following) or any(c.isdigit() for c in following)):
        return known["label"], following, 2
    return None


def _is_label(text: str) -> bool:
    return any(character.isalpha() for character in text) and not is_figure(text) and len(text.split()) <= 5


def _field(label: str, value: str, habits: Habits, page: int, words: list[Word]) -> Field:
    read = [word.confidence for word in words if word.text]
    least = min(read, default=0.0)
    review = None
    if any(word.unread for word in words):
        review = "a part of it could not be read"
    elif least < _DOUBTFUL:
        review = "it was read with low confidence"
    return make_field(label, value, habits, page=page, confidence=least, review=review)


def _loose(text: str, habits: Habits, page: int, words: list[Word]) -> Iterator[Field]:
    """Dates and amounts of money in running text."""
    dates = _DATE.findall(text)
    for found in dates:
        yield _field("date", found, habits, page, words)
    if not dates:
        for found in _AMOUNT.findall(text):
            yield _field("amount", found, habits, page, words)


def _pieces(row: list[Word]) -> list[list[Word]]:
    """A row cut at gaps much wider than a space."""
    height = median(word.box.height for word in row)
    pieces: list[list[Word]] = []
    for word in row:
        if pieces and word.box.left - pieces[-1][-1].box.right < 1.1 * height:
            pieces[-1].append(word)
        else:
            pieces.append([word])
    return pieces

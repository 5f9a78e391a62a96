"""What OCR finds on a page: words with boxes. Plain data that travels as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

HANGUL_READ = "read"
HANGUL_UNREAD = "unread: install tesseract-ocr-kor"


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the deskewed page, from its top left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def holds(self, point: tuple[float, float]) -> bool:
        """Whether a point (x, y) lies inside."""
        return self.left <= point[0] < self.right and self.top <= point[1] < self.bottom

    def overlap(self, other: Box) -> float:
        """Area in common, in square pixels."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0.0) * max(down, 0.0)


def enclosing(boxes: list[Box]) -> Box:
    """The smallest box around all of them (at least one)."""
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


@dataclass(frozen=True)
class Word:
    """One word.

    Attributes:
        text: what it says; empty when it could not be read (then ``unread`` is set).
        box: where it stands.
        confidence: from 0 to 1.
        line: number of the text line it was read in; words of one line have the same.
        unread: it is text, but in a script that nothing installed here reads.
    """

    text: str
    box: Box
    confidence: float
    line: int = 0
    unread: bool = False


@dataclass(frozen=True)
class PageWords:
    """The words of one page.

    Attributes:
        number: from 1.
        width, height: of the deskewed page, pixels.
        angle: degrees by which the page was turned to stand straight.
        hangul: None when there is none, else HANGUL_READ or HANGUL_UNREAD.
    """

    number: int
    width: int
    height: int
    angle: float = 0.0
    hangul: str | None = None
    words: list[Word] = field(default_factory=list)

    @property
    def mean_confidence(self) -> float | None:
        """Of the words that were read, each by its length; None without words."""
        read = [(word.confidence, len(word.text)) for word in self.words if word.text]
        total = sum(length for _, length in read)
        return sum(confidence * length for confidence, length in read) / total if total else None

    def lines(self) -> list[str]:
        """The text lines from top to bottom: words that stand side by side, joined by a space."""
        return [" ".join(word.text for word in row if word.text) for row in text_rows(self.words)]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PageWords:
        words = [Word(**{**word, "box": Box(**word["box"])}) for word in value["words"]]
        return cls(**{**value, "words": words})


def text_rows(words: list[Word]) -> list[list[Word]]:
    """Words grouped to rows that share a height on the page, from the top; each row from the left.

    A word joins the row whose vertical middle it covers best, so that a large heading beside small text does
    not pull two rows together.
    """
    rows: list[list[Word]] = []
    spans: list[tuple[float, float]] = []
    for word in sorted(words, key=lambda word: word.box.centre[1]):
        best, best_share = -1, 0.45
        for index in range(len(rows) - 1, max(len(rows) - 6, -1), -1):
            top, bottom = spans[index]
            common = min(bottom, word.box.bottom) - max(top, word.box.top)
            share = common / max(min(bottom - top, word.box.height), 1.0)
            if share > best_share:
                best, best_share = index, share
        if best < 0:
            rows.append([word])
            spans.append((word.box.top, word.box.bottom))
            continue
        rows[best].append(word)
        count = len(rows[best])
        top, bottom = spans[best]
        spans[best] = (top + (word.box.top - top) / count, bottom + (word.box.bottom - bottom) / count)
    for row in rows:
        row.sort(key=lambda word: word.box.left)
    return rows

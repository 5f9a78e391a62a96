"""Reading a page: a picture → words with boxes and confidence.

The steps, in order: deskew; find the rules and paint them over; detect text lines; cut them where a vertical
rule passes; add the ink that detection missed (single digits, dashes); read each; cut the readings into words
by the gaps in the ink; notice Hangul and have it read, or say that it is unread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .deskew import deskew
from .hangul import HangulReader, has_hangul
from .pages import PageImage
from .recogniser import Reading, detect_lines, recognise
from .rulings import Rulings, find_rulings, without_rulings
from .segments import Segment, cut_words, ink_of, ink_runs, looks_unread
from .shades import grey_of, ink_mask
from .words import HANGUL_READ, HANGUL_UNREAD, Box, PageWords, Word

Report = Callable[[float, str], None]

_LEAST_CONFIDENCE = 0.45
_LEAST_CONFIDENCE_OF_MISSED = 0.75
# What bits of rules are read as.
_REMNANTS = ("", "一", "|", "丨", "_", "¯", ".", ",", "'", "‘", "’", "`")


@dataclass(frozen=True)
class ReadPage:
    """A page that was read: its words, and the upright picture whose pixels their boxes count."""

    words: PageWords
    image: PageImage


def read_pages(
    images: Iterable[PageImage],
    count: int,
    hangul_reader: HangulReader | None,
    report: Report = lambda percent, substep: None,
) -> Iterator[ReadPage]:
    """Read pages one after the other. ``count`` is how many there are, for the report's percent."""
    for number, image in enumerate(images, start=1):
        report(100.0 * (number - 1) / max(count, 1), f"page {number} of {count}")
        yield read_page(image, number, hangul_reader)
    report(100.0, f"{count} of {count} pages")


def read_page(image: PageImage, number: int, hangul_reader: HangulReader | None) -> ReadPage:
    """Read one page.

    Args:
        image: height × width × 3, may lie askew by up to ten degrees or so.
        number: of the page, from 1.
        hangul_reader: None when Tesseract with its Korean data is not there; Hangul is then left unread, its
            words are marked so, and the page says so.
    """
    upright, angle = deskew(image)
    rulings = find_rulings(upright)
    clean = without_rulings(upright, rulings)
    boxes = _cut_at_rules(detect_lines(clean, _scale(clean, rulings.text_height)), rulings)
    missed = _missed_ink(clean, boxes, rulings)
    readings = recognise([crop(clean, box) for box in boxes + missed])
    segments: list[Segment] = []
    for index, (box, reading) in enumerate(zip(boxes + missed, readings, strict=True)):
        if index >= len(boxes) and (
            reading.confidence < _LEAST_CONFIDENCE_OF_MISSED or reading.text.strip() in _REMNANTS
        ):
            continue
        segments.append(Segment(box, reading, index))
    words, hangul = _words(clean, segments, rulings.text_height, hangul_reader)
    height, width = upright.shape[:2]
    page = PageWords(number, width, height, round(angle, 3), hangul, words)
    return ReadPage(page, upright)


def crop(image: PageImage, box: Box) -> PageImage:
    """The part of a page inside a box, cut off at the page's edges."""
    top, left = max(int(box.top), 0), max(int(box.left), 0)
    return image[top : max(int(np.ceil(box.bottom)), top), left : max(int(np.ceil(box.right)), left)]


def _scale(image: PageImage, text_height: float) -> float:
    """How much to enlarge a page for detection, so that letters have the size the detector knows best."""
    longest = max(image.shape[:2])
    wanted = 1.0
    if text_height < 14:
        wanted = 20.0 / text_height
    elif text_height > 40:
        wanted = 28.0 / text_height
    return float(min(wanted, 2.5, 2600.0 / longest))


def _cut_at_rules(boxes: list[Box], rulings: Rulings) -> list[Box]:
    """Boxes cut where a vertical rule passes through them: text does not run from one cell into the next."""
    least = 0.25 * rulings.text_height
    pieces = []
    for box in boxes:
        edges = [box.left]
        for rule in rulings.vertical:
            common = min(rule.end, box.bottom) - max(rule.start, box.top)
            if box.left < rule.position < box.right and common > 0.7 * box.height:
                edges += [rule.position - rule.width / 2, rule.position + rule.width / 2]
        edges.append(box.right)
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            if right - left > least:
                pieces.append(replace(box, left=left, right=right))
    return pieces


def _missed_ink(image: PageImage, boxes: list[Box], rulings: Rulings) -> list[Box]:
    """Boxes around what looks like text but lies in no detected line: often a single digit, or a dash."""
    grey, text_height = grey_of(image), rulings.text_height
    ink = ink_mask(grey, max(31, round(2 * text_height) | 1))
    for box in boxes:
        crop_of_ink = ink[max(int(box.top) - 2, 0) : int(box.bottom) + 3, max(int(box.left) - 3, 0) :]
        crop_of_ink[:, : int(box.right) + 4 - max(int(box.left) - 3, 0)] = 0
    reach = max(3, round(0.7 * text_height))
    joined = cv2.dilate(ink, np.ones((max(3, reach // 2), reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    found = []
    for index in range(1, count):
        left, top, width, height = (int(value) for value in stats[index][:4])
        part = (slice(top, top + height), slice(left, left + width))
        rows, columns = np.nonzero((labels[part] == index) & (ink[part] > 0))
        if len(rows) == 0:
            continue
        tight = Box(
            float(left + columns.min()),
            float(top + rows.min()),
            float(left + columns.max() + 1),
            float(top + rows.max() + 1),
        )
        if _is_like_text(tight, len(rows), text_height) and not _lies_on_rule(tight, rulings):
            around = _with_margin(tight, text_height, grey.shape)
            if all(around.overlap(box) < 0.25 * around.width * around.height for box in boxes):
                found.append(around)
    return found


def _lies_on_rule(box: Box, rulings: Rulings) -> bool:
    """Whether something thin and upright lies along a vertical rule: what is left of it, not a digit."""
    near = 0.35 * rulings.text_height
    return box.width < 0.3 * box.height and any(
        abs(rule.position - box.centre[0]) < near and rule.start - near < box.centre[1] < rule.end + near
        for rule in rulings.vertical
    )


def _is_like_text(box: Box, pixels: int, text_height: float) -> bool:
    filled = pixels / max(box.width * box.height, 1.0)
    letters = 0.6 <= box.height / text_height <= 2.2 and filled > 0.12
    if filled > 0.8 and box.width > 0.6 * box.height:
        # A block of one tone: a piece of a dark header, not a letter.
        letters = False
    dash = 0.06 <= box.height / text_height <= 0.4 and 0.25 <= box.width / text_height <= 1.6 and filled > 0.6
    return letters or dash


def _with_margin(box: Box, text_height: float, shape: tuple[int, ...]) -> Box:
    middle = box.centre[1]
    half = max(0.5 * box.height + 0.3 * text_height, 0.8 * text_height)
    side = 0.4 * text_height
    return Box(
        max(box.left - side, 0.0),
        max(middle - half, 0.0),
        min(box.right + side, float(shape[1])),
        min(middle + half, float(shape[0])),
    )


def _words(
    image: PageImage, segments: list[Segment], text_height: float, hangul_reader: HangulReader | None
) -> tuple[list[Word], str | None]:
    """The words of all segments, and what became of Hangul on the page (None if there is none)."""
    words: list[Word] = []
    doubtful: list[Segment] = []
    for segment in segments:
        ink = ink_of(crop(image, segment.box))
        if looks_unread(segment, ink):
            doubtful += _runs(segment, ink)
        else:
            words += cut_words(segment, ink)
    # Each run of ink by itself: what is Latin or a figure beside the Hangul shows that way.
    unread: list[Segment] = []
    readable: list[Segment] = []
    for part, reading in zip(doubtful, recognise([crop(image, part.box) for part in doubtful]), strict=True):
        alone = replace(part, reading=reading)
        (unread if looks_unread(alone, ink_of(crop(image, part.box)), strict=True) else readable).append(
            alone
        )
    # Neighbours that can be read are read again as one: the spaces between them are seen better so.
    whole = _rejoined(readable, unread)
    for part, reading in zip(whole, recognise([crop(image, part.box) for part in whole]), strict=True):
        words += cut_words(replace(part, reading=reading), ink_of(crop(image, part.box)))
    if hangul_reader is None:
        words += [Word("", part.box, 0.0, part.line, unread=True) for part in unread]
        state = HANGUL_UNREAD if unread else None
    else:
        found = hangul_reader.read([crop(image, part.box) for part in unread])
        pairs = list(zip(unread, found, strict=True))
        state = HANGUL_READ if any(has_hangul(reading.text) for _, reading in pairs) else None
        # A run is one word: the gaps that Tesseract sees inside of it lie between syllables.
        words += [
            Word(reading.text.replace(" ", ""), part.box, round(reading.confidence, 4), part.line)
            if has_hangul(reading.text)
            else _fallback(part)
            for part, reading in pairs
        ]
    kept = [word for word in words if word.unread or (word.text and word.confidence >= _LEAST_CONFIDENCE)]
    kept.sort(key=lambda word: (word.line, word.box.left))
    return kept, state


def _fallback(part: Segment) -> Word:
    """What RapidOCR made of a part that turned out to hold no Hangul."""
    text = part.reading.text.strip()
    return Word(text, part.box, round(part.reading.confidence, 4), part.line, unread=not text)


def _runs(segment: Segment, ink: NDArray[np.bool_]) -> list[Segment]:
    """A segment cut at its word gaps, each piece still to be read."""
    box = segment.box
    margin = 0.12 * box.height
    rows = np.flatnonzero(ink.any(axis=1))
    height = float(rows[-1] - rows[0] + 1) if len(rows) else box.height
    return [
        Segment(
            replace(
                box,
                left=max(box.left + start - margin, box.left),
                right=min(box.left + end + margin, box.right),
            ),
            Reading("", (), ()),
            segment.line,
        )
        for start, end in ink_runs(ink, gap=0.33 * height)
    ]


def _rejoined(parts: list[Segment], between: list[Segment]) -> list[Segment]:
    """Neighbours of one line as one, unless one of ``between`` stands in their midst."""
    others = {(part.line, part.box.left) for part in between}
    joined: list[Segment] = []
    for part in sorted([*parts, *between], key=lambda part: (part.line, part.box.left)):
        if (part.line, part.box.left) in others:
            joined.append(part)
            continue
        last = joined[-1] if joined else None
        follows = last is not None and last.line == part.line and (last.line, last.box.left) not in others
        if last and follows and part.box.left - last.box.right < part.box.height:
            joined[-1] = replace(last, box=replace(last.box, right=part.box.right))
        else:
            joined.append(part)
    return [part for part in joined if (part.line, part.box.left) not in others]

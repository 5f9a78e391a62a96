"""From a text line that was read to its words, by the ink in its picture."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .pages import PageImage
from .recogniser import Reading
from .words import Box, Word

Ink = NDArray[np.bool_]
"""height × width of a line's picture: where it has ink."""

_WELL_READ = 0.9


@dataclass(frozen=True)
class Segment:
    """A piece of a text line: where it is on the page, what was read there, the number of its line."""

    box: Box
    reading: Reading
    line: int


def ink_of(picture: PageImage) -> Ink:
    """Where a line's picture differs clearly from its paper, be it dark on light or light on dark."""
    if picture.size == 0:
        return np.zeros(picture.shape[:2], dtype=np.bool_)
    grey = picture.astype(np.float32).mean(axis=2)
    contrast = np.abs(grey - np.median(grey))
    strongest = float(np.percentile(contrast, 99))
    return np.asarray(contrast > max(24.0, 0.42 * strongest), dtype=np.bool_)


def ink_runs(ink: Ink, gap: float) -> list[tuple[int, int]]:
    """Stretches of columns (start, end) that hold ink, with gaps of at least ``gap`` pixels between them."""
    filled = np.flatnonzero(ink.sum(axis=0) > (1 if ink.shape[0] > 24 else 0))
    if len(filled) == 0:
        return []
    breaks = np.flatnonzero(np.diff(filled) > max(gap, 1.0))
    starts = [int(filled[0]), *(int(filled[index + 1]) for index in breaks)]
    ends = [*(int(filled[index]) + 1 for index in breaks), int(filled[-1]) + 1]
    return list(zip(starts, ends, strict=True))


def cut_words(segment: Segment, ink: Ink) -> list[Word]:
    """The words of a segment, each with the box of its own ink.

    Words end at the spaces that were read, and also, read or not, where the ink leaves a gap as wide as the
    line is high: there a new column begins.
    """
    reading, width = segment.reading, max(ink.shape[1], 1)
    height = _ink_height(ink)
    columns = np.asarray(ink.any(axis=0), dtype=np.bool_)
    groups: list[list[int]] = [[]]
    for index, character in enumerate(reading.text):
        if character.isspace():
            groups.append([])
            continue
        if groups[-1]:
            before = reading.positions[groups[-1][-1]] * width
            start, end = _widest_gap(columns, before, reading.positions[index] * width)
            if end - start > 1.1 * height:
                groups.append([])
        groups[-1].append(index)
    groups = [group for group in groups if group]
    edges = [0.0]
    for left, right in pairwise(groups):
        before, after = reading.positions[left[-1]] * width, reading.positions[right[0]] * width
        start, end = _widest_gap(columns, before, after)
        edges.append((start + end) / 2)
    edges.append(float(width))
    words = []
    for group, start, end in zip(groups, edges, edges[1:], strict=False):
        confidence = sum(reading.confidences[index] for index in group) / len(group)
        text = corrected("".join(reading.text[index] for index in group))
        words.append(Word(text, _tight(segment.box, ink, start, end), round(confidence, 4), segment.line))
    return words


def corrected(text: str) -> str:
    """A word with letters and digits told apart that look alike: ``0il`` is oil, ``1O.5`` is 10.5."""
    text = re.sub(r"^0(?=[a-z]{2})", "O", text)
    if (
        re.fullmatch(r"[-+(]?[$€£₩¥]?[\dOolI.,]+[)%]?", text)
        and sum(c.isdigit() for c in text) * 2 > len(text) - 1
    ):
        text = re.sub(r"[Oo]", "0", re.sub(r"[lI]", "1", text))
    return text


def looks_unread(segment: Segment, ink: Ink, *, strict: bool = False) -> bool:
    """Whether the ink is text that the reader does not know, as Hangul is.

    It shows in three ways: ink at which nothing was read; fewer characters than so wide a stretch must hold;
    ideographs read without confidence. ``strict`` is for single words of a line that was doubtful already.
    """
    reading, height = segment.reading, _ink_height(ink)
    if height < 5 or not ink.any():
        return False
    ideographs = [
        confidence
        for character, confidence in zip(reading.text, reading.confidences, strict=True)
        if _is_ideograph(character)
    ]
    if ideographs and min(ideographs) < (0.97 if strict else _WELL_READ):
        return True
    if strict and reading.confidence < 0.8:
        return True
    width = ink.shape[1]
    for start, end in ink_runs(ink, gap=0.24 * ink.shape[0]):
        part = ink[:, start:end]
        if not _is_wordlike(part, height):
            continue
        inside = [
            confidence
            for position, confidence, character in zip(
                reading.positions, reading.confidences, reading.text, strict=True
            )
            if start - 0.2 * height <= position * width <= end + 0.2 * height and not character.isspace()
        ]
        if not inside or sum(inside) / len(inside) < 0.6:
            return True
        if (end - start) / height > 1.75 * len(inside) + 0.6:
            return True
    return False


def _is_wordlike(part: Ink, height: float) -> bool:
    """Whether a stretch of ink may be a syllable: about as high as the line, and not a thin stroke."""
    rows = np.flatnonzero(part.any(axis=1))
    return len(rows) > 0 and rows[-1] - rows[0] + 1 > 0.55 * height and part.shape[1] > 0.5 * height


def _is_ideograph(character: str) -> bool:
    return "\u3040" <= character <= "\u30ff" or "\u4e00" <= character <= "\u9fff"


def _ink_height(ink: Ink) -> float:
    rows = np.flatnonzero(ink.sum(axis=1) > 1)
    return float(rows[-1] - rows[0] + 1) if len(rows) else 0.0


def _widest_gap(columns: NDArray[np.bool_], start: float, end: float) -> tuple[float, float]:
    """The widest stretch without ink between two columns; their middle when there is none."""
    low, high = int(start), min(int(end) + 1, len(columns))
    empty = np.flatnonzero(~columns[low:high])
    if len(empty) == 0:
        return (start + end) / 2, (start + end) / 2
    breaks = np.flatnonzero(np.diff(empty) > 1)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(empty) - 1]])
    widest = int(np.argmax(empty[ends] - empty[starts]))
    return float(low + empty[starts[widest]]), float(low + empty[ends[widest]] + 1)


def _tight(box: Box, ink: Ink, start: float, end: float) -> Box:
    """The box around the ink between two columns of a line's picture; all of it when there is none."""
    part = ink[:, int(start) : int(np.ceil(end))]
    columns, rows = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
    if len(columns) == 0:
        return replace(box, left=box.left + start, right=box.left + end)
    left, top = int(box.left) + int(start), int(box.top)
    return Box(
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )

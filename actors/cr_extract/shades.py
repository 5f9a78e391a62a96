"""Ink on paper, and shaded paper: a dark header, stripes of rows. Edges of shades part rows as rules do."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from .pages import PageImage
from .words import Box

Grey = NDArray[np.uint8]
"""height × width, from 0 (black) to 255."""


def grey_of(image: PageImage) -> Grey:
    """A page in grey."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def ink_mask(grey: Grey, window: int) -> Grey:
    """255 where a pixel is clearly darker than the paper around it, else 0. ``window``: odd, pixels."""
    paper = cv2.morphologyEx(cv2.medianBlur(grey, 3), cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    depth = cv2.subtract(paper, cv2.GaussianBlur(grey, (3, 3), 0))
    # Grain lifts the closing everywhere; its typical depth is not ink.
    floor = float(np.median(depth))
    strongest = float(np.percentile(depth, 99.5))
    threshold = max(floor + 18.0, floor + 0.35 * (strongest - floor))
    return np.asarray((depth > threshold) * np.uint8(255), dtype=np.uint8)


def shaded_areas(grey: Grey, text_height: float) -> list[Box]:
    """Rectangles of darker paper. ``text_height``: pixels, of a typical digit on the page."""
    # The median wipes out thin strokes; paper is the lightest tone in a wide surrounding.
    plain = cv2.medianBlur(grey, min(round(1.2 * text_height) | 1, 255))
    small = cv2.resize(plain, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_NEAREST)
    reach = max(round(6 * text_height) // 8, 3)
    lightest = cv2.dilate(small, np.ones((reach, reach), np.uint8))
    paper = cv2.resize(lightest, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)
    darker = np.asarray((cv2.subtract(paper, plain) > 7) * np.uint8(255), dtype=np.uint8)
    shaded = cv2.morphologyEx(darker, cv2.MORPH_CLOSE, np.ones((1, round(3 * text_height)), np.uint8))
    # Bars of text that the closing made, and their bridges, are lower than a shaded row.
    solid = np.ones((max(round(1.1 * text_height), 3), max(round(3 * text_height), 3)), np.uint8)
    shaded = cv2.morphologyEx(shaded, cv2.MORPH_OPEN, solid)
    count, _, stats, _ = cv2.connectedComponentsWithStats(shaded)
    found = []
    for index in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[index])
        if width < 8 * text_height or height < 1.1 * text_height or area < 0.7 * width * height:
            continue
        for start, end in _bands(grey, (left, top, width, height), text_height):
            found.append(Box(float(left), start, float(left + width), end))
    return found


def _bands(grey: Grey, area: tuple[int, int, int, int], text_height: float) -> list[tuple[float, float]]:
    """Where (y from, y to) the paper is darker, in and around an area (left, top, width, height).

    The tone is looked at in the columns that vary least from pixel to pixel, which is between words.
    """
    left, top, width, height = area
    first = max(top - round(text_height), 0)
    inset = width // 20
    part = grey[first : top + height + round(text_height), left + inset : left + width - inset]
    if min(part.shape) < 8:
        return []
    unrest = np.abs(np.diff(part.astype(np.int16), axis=0)).sum(axis=0)
    tones = np.median(part[:, unrest <= np.percentile(unrest, 25)], axis=1)
    change = np.abs(np.subtract(tones[4:], tones[:-4]))
    steps: list[float] = []
    while change.max() >= 6:
        peak = int(change.argmax())
        flat = np.flatnonzero(change[peak : peak + 4] >= 0.9 * change[peak])
        steps.append(peak + float(flat.mean()) + 2)
        change[max(peak - round(0.5 * text_height), 0) : peak + round(0.5 * text_height) + 1] = 0
    steps.sort()
    lightest = float(np.percentile(tones, 98))
    low, high = top - first - 0.8 * text_height, top - first + height + 0.8 * text_height
    return [
        (first + start, first + end)
        for start, end in pairwise(steps)
        if end - start > 1.2 * text_height
        and low < start
        and end < high
        and float(np.median(tones[round(start) + 2 : round(end) - 1])) < lightest - 6
    ]

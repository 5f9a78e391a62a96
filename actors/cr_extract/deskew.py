"""Turning a page that lies askew upright."""

from __future__ import annotations

import cv2
import numpy as np

from .pages import PageImage

MAX_ANGLE = 12.0
"""Degrees to either side that are looked for."""

_LEAST_ANGLE = 0.06
_SEARCH_WIDTH = 900


def skew_angle(image: PageImage) -> float:
    """Degrees by which the text runs askew; the angle that :func:`rotate` undoes it by.

    The rows of an upright page are either ink or gap, so the ink counted per row differs most between
    neighbouring rows at the right angle. A coarse search is refined twice.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _SEARCH_WIDTH / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    paper = cv2.medianBlur(small, 31)
    ink = cv2.subtract(paper, small).astype(np.float32)
    ink[ink < 24] = 0
    if not ink.any():
        return 0.0
    best = _best(ink, np.arange(-MAX_ANGLE, MAX_ANGLE + 0.01, 0.5))
    best = _best(ink, best + np.arange(-0.5, 0.51, 0.1))
    best = _best(ink, best + np.arange(-0.1, 0.11, 0.025))
    if abs(best) > MAX_ANGLE - 0.3:
        return 0.0
    return float(best)


def deskew(image: PageImage) -> tuple[PageImage, float]:
    """The page upright, on a canvas large enough to lose nothing, and the degrees it was turned by."""
    angle = skew_angle(image)
    if abs(angle) < _LEAST_ANGLE:
        return image, 0.0
    return rotate(image, angle), angle


def rotate(image: PageImage, angle: float) -> PageImage:
    """The image turned anticlockwise by degrees; new corners get the colour of its edge."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    new_width = round(width * cosine + height * sine)
    new_height = round(width * sine + height * cosine)
    matrix[0, 2] += (new_width - width) / 2
    matrix[1, 2] += (new_height - height) / 2
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    paper = tuple(float(value) for value in np.median(edge, axis=0))
    turned = cv2.warpAffine(image, matrix, (new_width, new_height), flags=cv2.INTER_CUBIC, borderValue=paper)
    return np.asarray(turned, dtype=np.uint8)


def _best(ink: np.ndarray, angles: np.ndarray) -> float:
    return float(max(angles, key=lambda angle: _sharpness(ink, float(angle))))


def _sharpness(ink: np.ndarray, angle: float) -> float:
    height, width = ink.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    rows = cv2.warpAffine(ink, matrix, (width, height)).sum(axis=1)
    return float(np.square(np.diff(rows)).sum())

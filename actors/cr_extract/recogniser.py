"""RapidOCR at work: where text lines are, and what a picture of one line says.

The models are in RapidOCR's wheel; they are loaded once per process, by the first call. Calls may come from
many threads; one runs at a time, since one already uses the cores.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .pages import PageImage
from .words import Box

_LINE_HEIGHT = 48
_BATCH = 8
_WIDEST = 3200
_lock = threading.Lock()


@dataclass(frozen=True)
class Reading:
    """What a picture of a text line says.

    Attributes:
        text: the characters, spaces among them.
        positions: of each character, the middle, as a share (0 to 1) of the picture's width.
        confidences: of each character, from 0 to 1.
    """

    text: str
    positions: tuple[float, ...]
    confidences: tuple[float, ...]

    @property
    def confidence(self) -> float:
        return sum(self.confidences) / len(self.confidences) if self.confidences else 0.0


def detect_lines(image: PageImage, scale: float = 1.0) -> list[Box]:
    """Boxes around the text lines of an upright page, in its pixels.

    Args:
        image: height × width × 3.
        scale: the page is looked at enlarged or reduced by this factor.
    """
    looked_at = image
    if scale != 1.0:
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        looked_at = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), dtype=np.uint8)
    with _lock:
        found = _engine()(_blue_first(looked_at), use_det=True, use_cls=False, use_rec=False)
    boxes = getattr(found, "boxes", None)
    if boxes is None:
        return []
    height, width = image.shape[:2]
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4, 2) / scale
    low, high = corners.min(axis=1), corners.max(axis=1)
    return [
        Box(max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
        for (left, top), (right, bottom) in zip(low.tolist(), high.tolist(), strict=True)
    ]


def recognise(crops: list[PageImage]) -> list[Reading]:
    """Read pictures of text lines, in their order. A picture without size reads as nothing."""
    readings = [Reading("", (), ())] * len(crops)
    ratios = {i: crop.shape[1] / crop.shape[0] for i, crop in enumerate(crops) if crop.size}
    # Pictures of like shape share a batch, so that little of it is padding.
    order = sorted(ratios, key=lambda index: ratios[index])
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        for index, reading in zip(batch, _read_batch([crops[index] for index in batch]), strict=True):
            readings[index] = reading
    return readings


def _read_batch(crops: list[PageImage]) -> list[Reading]:
    widths = [min(max(round(_LINE_HEIGHT * crop.shape[1] / crop.shape[0]), 8), _WIDEST) for crop in crops]
    # The width the model was trained on is the least.
    padded = max(320, *widths)
    batch = np.zeros((len(crops), 3, _LINE_HEIGHT, padded), np.float32)
    for index, (crop, width) in enumerate(zip(crops, widths, strict=True)):
        line = cv2.resize(_blue_first(crop), (width, _LINE_HEIGHT)).astype(np.float32)
        batch[index, :, :, :width] = line.transpose(2, 0, 1) / 127.5 - 1.0
    with _lock:
        recogniser = _engine()._load_rec_model()
        odds = np.asarray(recogniser.session(batch))
        alphabet = recogniser.postprocess_op.character
    allowed = _allowed(tuple(alphabet))
    return [
        _decode(np.where(allowed, line, 0.0), alphabet, width / padded)
        for line, width in zip(odds, widths, strict=True)
    ]


def _decode(odds: NDArray[Any], alphabet: list[str], filled: float) -> Reading:
    """The best character of each step, repeats and blanks dropped.

    Args:
        odds: steps × characters.
        alphabet: the characters; the first stands for none.
        filled: the share of the steps that is not padding.
    """
    best = odds.argmax(axis=1)
    steps = max(len(best) * filled, 1.0)
    text, positions, confidences = "", [], []
    start = 0
    for step in range(1, len(best) + 1):
        if step < len(best) and best[step] == best[start]:
            continue
        if best[start] != 0 and start < steps + 1:
            text += alphabet[best[start]]
            positions.append(min(((start + step) / 2) / steps, 1.0))
            confidences.append(float(odds[start:step, best[start]].max()))
        start = step
    return Reading(text, tuple(positions), tuple(confidences))


@lru_cache(maxsize=1)
def _allowed(alphabet: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which characters may be read: letters, digits, usual signs; no arrows, chess men or zodiac signs."""
    return np.array([index == 0 or _is_usual(character) for index, character in enumerate(alphabet)])


def _is_usual(character: str) -> bool:
    code = ord(character[0])
    return (
        code < 0x250
        or 0x370 <= code < 0x400
        or 0x3040 <= code < 0x3100
        or 0x4E00 <= code < 0xA000
        or character in "–—‘’“”†•…‰€₩₤₹₽₫฿№™−×÷≤≥≈√∞°±→●○▲△▼☑☐✓✔"
    )


@lru_cache(maxsize=1)
def _engine() -> Any:
    from rapidocr import RapidOCR  # noqa: PLC0415 (slow to import)

    threads = min(os.cpu_count() or 1, 4)
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.max_side_len": 2600,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _blue_first(image: PageImage) -> PageImage:
    return np.ascontiguousarray(image[:, :, ::-1])

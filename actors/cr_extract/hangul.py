"""Reading Hangul with Tesseract, where it is installed with its Korean data.

RapidOCR's models know no Hangul: what they make of it has to be noticed (see ocr.py) and comes here.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .pages import PageImage
from .shades import grey_of

_HEIGHT = 44
_MARGIN = 16
_SECONDS_PER_LINE = 20.0


@dataclass(frozen=True)
class HangulReading:
    """What Tesseract read: the text, and its confidence from 0 to 1."""

    text: str
    confidence: float


class HangulReader:
    """Tesseract with the data ``kor``. ``program``: the path of its binary."""

    def __init__(self, program: str) -> None:
        self.program = program

    def read(self, crops: list[PageImage]) -> list[HangulReading]:
        """Read pictures of single text lines, in their order. One process reads them all.

        A picture that Tesseract cannot read, and all of them if it fails, come back as an empty text.
        """
        if not crops:
            return []
        with tempfile.TemporaryDirectory(prefix="callboard-hangul-") as folder:
            paths = []
            for index, crop in enumerate(crops):
                path = Path(folder) / f"{index}.png"
                cv2.imwrite(str(path), _prepared(crop))
                paths.append(str(path))
            listing = Path(folder) / "pictures.txt"
            listing.write_text("\n".join(paths) + "\n")
            table = self._run(str(listing), _SECONDS_PER_LINE * (1 + len(crops)))
        return _readings(table, len(crops))

    def _run(self, listing: str, seconds: float) -> str:
        # Several OpenMP threads slow Tesseract down on small pictures.
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        command = [self.program, listing, "stdout", "-l", "kor", "--psm", "7", "--dpi", "150", "tsv"]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=seconds, check=False, env=environment, encoding="utf-8"
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout if done.returncode == 0 else ""


def find_hangul_reader() -> HangulReader | None:
    """A reader if Tesseract and its Korean data are installed on this machine, else None."""
    program = shutil.which("tesseract")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--list-langs"], capture_output=True, timeout=20, check=False, encoding="utf-8"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return HangulReader(program) if "kor" in done.stdout.split() else None


def has_hangul(text: str) -> bool:
    """Whether a text holds at least one Hangul syllable or letter."""
    return any("가" <= character <= "힣" or "ㄱ" <= character <= "ㆎ" for character in text)


def _prepared(crop: PageImage) -> PageImage:
    """The line at the height that Tesseract reads best, dark on white, with a margin."""
    grey = grey_of(crop)
    if np.median(grey) < 110:
        grey = np.asarray(cv2.bitwise_not(grey), dtype=np.uint8)
    scale = _HEIGHT / grey.shape[0]
    grey = np.asarray(
        cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), dtype=np.uint8
    )
    low, high = int(grey.min()), max(int(grey.max()), int(grey.min()) + 1)
    grey = np.asarray((grey.astype(np.float32) - low) * (255.0 / (high - low)), dtype=np.uint8)
    paper = int(np.median(grey))
    framed = cv2.copyMakeBorder(grey, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=(paper,))
    return np.asarray(framed, dtype=np.uint8)


def _readings(table: str, count: int) -> list[HangulReading]:
    words: list[list[tuple[str, float]]] = [[] for _ in range(count)]
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = (row.get("text") or "").strip()
        page = int(row["page_num"]) - 1
        if row["level"] == "5" and text and 0 <= page < count:
            words[page].append((text, max(float(row["conf"]), 0.0) / 100))
    readings = []
    for found in words:
        length = sum(len(text) for text, _ in found)
        confidence = sum(confidence * len(text) for text, confidence in found) / length if length else 0.0
        readings.append(HangulReading(" ".join(text for text, _ in found), confidence))
    return readings

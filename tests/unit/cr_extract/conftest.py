"""Fixtures of the tests of cr_extract. OCR is slow: each sample is read once per run."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from actors.cr_extract.hangul import find_hangul_reader
from actors.cr_extract.ocr import read_pages
from actors.cr_extract.pages import open_pages


class Samples:
    """The documents in samples/: their pages as they were read, and what they say."""

    folder = Path(__file__).parents[3] / "samples"

    @staticmethod
    @cache
    def read(name: str, *, hangul: bool = False) -> list[Any]:
        """The pages (ReadPage) of a sample; Hangul is read only where asked for."""
        images = open_pages(Samples.folder / name)
        return list(read_pages(images, len(images), find_hangul_reader() if hangul else None))

    @staticmethod
    def truth(name: str) -> dict[str, Any]:
        """What a sample says."""
        return dict(json.loads((Samples.folder / name).with_suffix(".json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def samples() -> Samples:
    return Samples()


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Saves a small valid picture under a name and returns its path."""

    def save(name: str = "page.png", **options: Any) -> Path:
        path = tmp_path / name
        pixels = np.full((120, 200, 3), 255, np.uint8)
        pixels[40:60, 20:90] = 0
        Image.fromarray(pixels).save(path, **options)
        return path

    return save

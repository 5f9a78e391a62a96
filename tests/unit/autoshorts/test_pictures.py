"""Pictures: what a text calls for, and that everything can be drawn, with words that can be read."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from actors.autoshorts import motifs, scenery
from actors.autoshorts.pictures import draw_scene, draw_words, legible, named, wrapped
from actors.autoshorts.templates import MOODS
from actors.fonts import find_font


def scene(**other: Any) -> dict[str, Any]:
    return {
        "number": 1,
        "title": "길을 나서다",
        "narration": "어느 날 아침",
        "visual": "",
        "mood": "bright",
        "seed": 7,
        **other,
    }


@pytest.mark.parametrize(
    ("text", "places", "figures"),
    [
        ("비 오는 날 산책하는 강아지", ["rain"], ["dog"]),
        ("산을 오르며 책을 읽다", ["mountain"], ["book"]),
        ("A window in the startup", ["none"], ["none"]),
        ("Cats and rockets under the stars", ["space"], ["cat", "rocket"]),
        ("숲 속의 새와 꽃", ["forest", "meadow"], ["bird", "flower"]),
    ],
)
def test_what_a_text_calls_for(text: str, places: list[str], figures: list[str]) -> None:
    assert named(text, scenery.WORDS, "none") == places
    assert named(text, motifs.WORDS, "none") == figures


def test_every_word_has_a_painter() -> None:
    assert set(scenery.WORDS) <= set(scenery.PAINTERS)
    assert set(motifs.WORDS) <= set(motifs.PAINTERS)


@pytest.mark.parametrize(("place", "words"), scenery.WORDS.items())
def test_each_scenery_in_each_mood_is_a_picture_of_its_own(place: str, words: tuple[str, ...]) -> None:
    seen = [_pixels(draw_scene(scene(visual=f"{words[0]} ", mood=mood), 96, 160)) for mood in MOODS]
    assert all(pixels.shape == (200, 120, 3) for pixels in seen)
    assert all(pixels.std() > 12 for pixels in seen)
    assert draw_scene(scene(visual=words[0]), 96, 160) == draw_scene(scene(visual=words[0]), 96, 160)
    assert draw_scene(scene(visual=words[0], seed=8), 96, 160) != draw_scene(scene(visual=words[0]), 96, 160)


@pytest.mark.parametrize("figure", motifs.WORDS)
def test_each_figure_shows(figure: str) -> None:
    with_figure = _pixels(draw_scene(scene(visual=f"{motifs.WORDS[figure][0]} "), 96, 160))
    with_star = _pixels(draw_scene(scene(), 96, 160))
    changed = np.abs(with_figure.astype(int) - with_star).sum(axis=2) > 60
    assert changed[60:150, 15:105].mean() > 0.1


def test_words_stand_on_a_transparent_sheet_inside_of_the_frame() -> None:
    long = scene(narration="아주 긴 문장입니다. " * 12, title="Supercalifragilisticexpialidocious words")
    with Image.open(io.BytesIO(draw_words(long, 160, 284))) as sheet:
        assert (sheet.mode, sheet.size) == ("RGBA", (160, 284))
        alpha = np.asarray(sheet)[:, :, 3]
    assert 0.05 < (alpha > 100).mean() < 0.6
    assert alpha[:, :3].max() < 40
    assert alpha[-3:].max() == 0


def test_lines_fit_and_lose_no_word() -> None:
    font = find_font(20, bold=True, hangul=True)
    assert font is not None
    for text in ("우주여행 고양이는 소중한 친구를 만났습니다", "Donaudampfschifffahrtsgesellschaft sails"):
        lines = wrapped(text, font, 120)
        assert all(font.getlength(line) <= 120 for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_what_the_font_has_not_is_left_out() -> None:
    assert legible("출발 🚀 ★\u200b 지금!\n") == "출발 지금!"


def _pixels(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture)

"""The map of topics: nothing overlaps, sizes are true, and Hangul shows."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from actors import fonts
from actors.ai_pipeline import picture
from actors.ai_pipeline.picture import NO_FONT, draw_map
from actors.ai_pipeline.projection import map_of
from actors.ai_pipeline.topics import Assignment, softmax, unit


def assignment(sizes: list[int], seed: int = 1) -> Assignment:
    """Texts of topics that lie in directions of their own."""
    chance = np.random.default_rng(seed)
    count = len(sizes)
    centres = unit(chance.normal(size=(count, max(4, 2 * count))))
    group = np.repeat(np.arange(count), sizes)
    space = unit(centres[group] + 0.3 * chance.normal(size=(len(group), centres.shape[1])))
    shares = softmax(10 * space @ centres.T)
    return Assignment(group, shares, space, {})


@pytest.mark.parametrize(
    "sizes", [[5], [40, 3], [300, 200, 90, 40, 10, 2], [50] * 15, [30] * 50, [5000, 1, 1]]
)
def test_no_circle_or_label_touches_another(sizes: list[int]) -> None:
    found = assignment(sizes)
    labels = np.tile([420.0, 110.0], (len(sizes), 1))
    laid = map_of(found, labels, (3000, 1900))
    boxes = [
        (x - max(r, w / 2), y - r, x + max(r, w / 2), y + r + h)
        for (x, y), r, (w, h) in zip(laid.centres, laid.radii, labels, strict=True)
    ]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0 and top >= 0 and right <= laid.width and bottom <= laid.height  # noqa: PT018
        for other in boxes[number + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    distances = np.linalg.norm(laid.dots - laid.centres[found.group], axis=1)
    assert (distances <= laid.radii[found.group]).all()
    if sizes[0] < 1000 and len(sizes) > 1:
        large = np.array(sizes) >= 0.2 * max(sizes)
        areas = laid.radii[large] ** 2 / np.array(sizes)[large]
        np.testing.assert_allclose(areas, areas[0])


def test_similar_topics_are_neighbours() -> None:
    chance = np.random.default_rng(3)
    centres = unit(np.array([[1.0, 0, 0, 0], [0.9, 0.3, 0, 0], [0, 0, 1.0, 0]]))
    group = np.repeat([0, 1, 2], 30)
    space = unit(centres[group] + 0.05 * chance.normal(size=(90, 4)))
    found = Assignment(group, softmax(10 * space @ centres.T), space, {})
    places = map_of(found, np.tile([60.0, 30.0], (3, 1)), (1500, 1000)).centres
    assert np.linalg.norm(places[0] - places[1]) < np.linalg.norm(places[0] - places[2])


def drawn(labels: list[tuple[str, str]]) -> tuple[Any, list[str]]:
    content, warnings = draw_map(assignment([30, 20]), labels, "주제 지도")
    return Image.open(io.BytesIO(content)).convert("L"), warnings


def test_hangul_shows() -> None:
    """Two words of one length look different; a font without them would show the same boxes twice."""
    if fonts.font_file(False, True) is None:
        pytest.skip("no font with Hangul is installed")
    first, warnings = drawn([("금리", "1"), ("환율", "2")])
    second, _ = drawn([("학생", "1"), ("시험", "2")])
    assert warnings == []
    assert first.size == (1600, 1080)
    assert np.asarray(first).tobytes() != np.asarray(second).tobytes()


def test_without_a_font_the_map_has_numbers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = fonts.find_font

    def without(size: int, *, bold: bool = False, hangul: bool = False) -> Any:
        return None if hangul else real(size, bold=bold)

    monkeypatch.setattr(picture, "find_font", without)
    _, warnings = drawn([("금리", "1"), ("환율", "2")])
    assert warnings == [NO_FONT]

"""Music: as long as it should be, in the moods of the scenes, never clipped and never silent."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest

from actors.autoshorts.music import TAIL, compose, moods_of_bars
from actors.autoshorts.templates import MOODS


def layout(*moods: str, seconds: float = 3.0, prompt: str = "고양이") -> dict[str, Any]:
    scenes = [
        {"start": seconds * index, "seconds": seconds, "mood": mood} for index, mood in enumerate(moods)
    ]
    return {"prompt": prompt, "seconds": seconds * len(moods), "scenes": scenes}


@pytest.mark.parametrize("mood", MOODS)
def test_each_mood_sounds(mood: str) -> None:
    reported: list[float] = []
    samples = _samples(compose(layout(mood), reported.append))
    assert len(samples) == round((3 + TAIL) * 44_100)
    assert 0.85 < np.abs(samples).max() < 0.9  # full scale but for a margin
    for start in range(0, 3 * 44_100, 44_100):
        assert np.sqrt((samples[start : start + 44_100] ** 2).mean()) > 0.03
    assert np.abs(samples[-400:]).max() < 0.02  # it has faded
    assert reported == sorted(reported)
    assert len(reported) > 2


def test_moods_differ_and_the_same_layout_sounds_the_same() -> None:
    assert compose(layout("calm")) == compose(layout("calm"))
    assert compose(layout("calm")) != compose(layout("calm", prompt="강아지"))
    assert compose(layout("calm")) != compose(layout("tense"))


def test_each_bar_has_the_mood_of_its_scene() -> None:
    planned = layout("calm", "tense", "bright", seconds=4)["scenes"]
    assert moods_of_bars(planned, 2.0) == [*["calm"] * 2, *["tense"] * 2, *["bright"] * 3]


def _samples(content: bytes) -> np.ndarray[Any, np.dtype[np.float64]]:
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 44_100)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768

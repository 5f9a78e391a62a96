"""Plots: templates, particles, ids, and the way from CSV to layout."""

from __future__ import annotations

import re

import pytest

from actors.autoshorts.plot import as_csv, by_templates, from_csv, layout, spoken_seconds
from actors.autoshorts.spec import Spec, run_id
from actors.autoshorts.templates import MOODS, beats, subject_of, with_particle


@pytest.mark.parametrize(
    ("word", "particle", "expected"),
    [
        ("고양이", "은", "고양이는"),
        ("로봇", "은", "로봇은"),
        ("바다", "을", "바다를"),
        ("산", "이", "산이"),
        ("Cat", "과", "Cat와"),
        ("별", "의", "별의"),
    ],
)
def test_particles(word: str, particle: str, expected: str) -> None:
    assert with_particle(word, particle) == expected


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("우주여행 고양이", "우주여행 고양이"),
        ("비 오는 날의 로봇에 대한 영상을 만들어줘", "비 오는 날의 로봇"),
        ("Make a video about a brave robot.", "a brave robot"),
        ("one two three four five six seven eight nine ten", "one two three four five six seven eight"),
        ("가" * 90, "가" * 40),
    ],
)
def test_the_subject_of_a_prompt(prompt: str, subject: str) -> None:
    assert subject_of(prompt) == subject


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("prompt", ["a cat", "how to cook"])
@pytest.mark.parametrize("count", range(1, 9))
def test_templates_give_as_many_scenes_as_asked_for(language: str, prompt: str, count: int) -> None:
    told = beats(prompt, language, count)
    assert len(told) == count == len({beat.narration for beat in told})
    assert all(beat.mood in MOODS and "{" not in beat.narration for beat in told)
    if count > 1:
        assert (told[0].mood, told[-1].mood) == (beats(prompt, language, 8)[0].mood, "triumph")


def test_csv_and_layout() -> None:
    spec = Spec.from_input({"prompt": "  우주여행\t고양이 ", "spec": {"scenes": 3, "scene_seconds": 2.5}})
    assert (spec.prompt, spec.language, spec.width, spec.height) == ("우주여행 고양이", "ko", 720, 1280)
    scenes = by_templates(spec)
    assert from_csv(as_csv(scenes)) == scenes
    assert all(scene.seconds == spoken_seconds(scene.narration, "ko") for scene in scenes)
    planned = layout(spec, scenes, "templates")
    assert [scene["number"] for scene in planned["scenes"]] == [1, 2, 3]
    assert planned["scenes"][1]["start"] == scenes[0].seconds
    assert planned["seconds"] == pytest.approx(sum(scene.seconds for scene in scenes))
    assert len({scene["seed"] for scene in planned["scenes"]}) == 3
    assert planned == layout(spec, scenes, "templates")


@pytest.mark.parametrize(
    ("data", "slug"),
    [
        ({"prompt": "우주여행 고양이!"}, "우주여행고양이"),
        ({"prompt": "../etc/passwd\0"}, "etcpasswd"),
        ({"prompt": "가" * 300}, "가" * 40),
        ({"prompt": "🎉"}, "short"),
        ({"prompt": 3}, "short"),
        ("nonsense", "short"),
    ],
)
def test_ids_of_runs(data: object, slug: str) -> None:
    assert re.fullmatch(rf"\d{{8}}_\d{{4}}_{slug}", run_id(data))

"""The plot: scenes from a prompt, by a language model or by the built-in templates; CSV and layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

from actors.llm import LlmClient
from callboard.errors import StageError

from .spec import Spec
from .templates import MOODS, Beat, beats

LLM, TEMPLATES = "llm", "templates"
FRAMES_PER_SECOND = 25
MOTIONS = ("zoom_in", "pan_right", "zoom_out", "pan_left")
#: Columns of the CSV of scenes.
COLUMNS = ("scene", "title", "narration", "visual", "mood", "seconds")
#: Syllables (Korean) or letters (English) that the voice speaks in a second, and the rest around them.
SPEED = {"ko": 4.6, "en": 13.0}
REST = 0.8

_SCHEMA_OF_A_SCENE = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "narration": {"type": "string"},
        "visual": {"type": "string"},
        "mood": {"type": "string", "enum": list(MOODS)},
    },
    "required": ["title", "narration", "visual", "mood"],
    "additionalProperties": False,
}
_INSTRUCTIONS = (
    "You write short vertical videos. Write a plot of exactly {scenes} scenes in {language} about what the "
    "user asks for. Of each scene: a title of at most four words, one spoken sentence (narration) that takes "
    "about {seconds:g} seconds, a few words of what is to be seen (visual), and its mood. Answer with JSON "
    "that fits the schema."
)


@dataclass(frozen=True)
class Scene:
    """One scene of a plot; ``seconds``: how long it lasts as planned."""

    title: str
    narration: str
    visual: str
    mood: str
    seconds: float


def by_templates(spec: Spec) -> list[Scene]:
    """A plot from the built-in templates: the same one for the same prompt."""
    return _scenes(beats(spec.prompt, spec.language, spec.scenes), spec)


def by_model(spec: Spec, client: LlmClient) -> list[Scene]:
    """A plot from a language model.

    Raises:
        StageError: the endpoint refuses, stays silent, or twice answers what does not fit.
    """
    language = {"ko": "Korean", "en": "English"}[spec.language]
    schema = {
        "type": "object",
        "properties": {
            "scenes": {
                "type": "array",
                "items": _SCHEMA_OF_A_SCENE,
                "minItems": spec.scenes,
                "maxItems": spec.scenes,
            }
        },
        "required": ["scenes"],
        "additionalProperties": False,
    }
    instructions = _INSTRUCTIONS.format(scenes=spec.scenes, language=language, seconds=spec.scene_seconds)
    answer = client.answer(instructions, spec.prompt, "plot", schema)
    told = [
        Beat(
            title=_cut(scene["title"], 40),
            narration=_cut(scene["narration"], 200),
            visual=_cut(scene["visual"], 200),
            mood=scene["mood"],
        )
        for scene in answer["scenes"]
    ]
    if not all(beat.narration for beat in told):
        raise StageError(f"{client.model} at {client.base_url} wrote a scene without a narration")
    return _scenes(told, spec)


def spoken_seconds(text: str, language: str) -> float:
    """About how long the voice takes for a text, with a rest before and after."""
    return round(sum(not letter.isspace() for letter in text) / SPEED[language] + REST, 2)


def as_csv(scenes: Sequence[Scene]) -> bytes:
    """The scenes as CSV: UTF-8 with a mark, as spreadsheets want it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for number, scene in enumerate(scenes, start=1):
        writer.writerow({"scene": number, **asdict(scene)})
    return text.getvalue().encode("utf-8-sig")


def from_csv(content: bytes) -> list[Scene]:
    """The scenes in a CSV that :func:`as_csv` has written."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    return [
        Scene(row["title"], row["narration"], row["visual"], row["mood"], float(row["seconds"]))
        for row in rows
    ]


def layout(spec: Spec, scenes: Sequence[Scene], engine: str) -> dict[str, Any]:
    """Everything that the later stages need of the plot, as JSON.

    Of each scene: its texts, ``start`` and ``seconds``, its ``motion``, and the ``seed`` of its picture.
    """
    placed: list[dict[str, Any]] = []
    start = 0.0
    for index, scene in enumerate(scenes):
        seed = crc32(f"{spec.prompt}/{index}/{scene.visual}".encode())
        motion = MOTIONS[index % len(MOTIONS)]
        own = {"number": index + 1, "start": round(start, 2), "motion": motion, "seed": seed}
        placed.append({**asdict(scene), **own})
        start += scene.seconds
    return {
        "prompt": spec.prompt,
        "language": spec.language,
        "engine": engine,
        "width": spec.width,
        "height": spec.height,
        "frames_per_second": FRAMES_PER_SECOND,
        "seconds": round(start, 2),
        "scenes": placed,
    }


def _cut(text: str, most: int) -> str:
    return " ".join(text.split())[:most]


def _scenes(told: Sequence[Beat], spec: Spec) -> list[Scene]:
    return [
        Scene(
            beat.title,
            beat.narration,
            beat.visual,
            beat.mood,
            max(spec.scene_seconds, spoken_seconds(beat.narration, spec.language)),
        )
        for beat in told
    ]

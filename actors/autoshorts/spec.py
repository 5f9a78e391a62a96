"""What a short is made from: the input, checked."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from actors.storage import local_copy
from callboard.errors import BadInput

LANGUAGES = ("ko", "en")
ENGINES = ("auto", "templates")
SCENES = (1, 8)
SECONDS = (1.0, 20.0)
SIDES = (96, 1920)
PROMPT_LENGTH = 1000
#: Of a file with a prompt.
FILE_BYTES = 16_384
#: Letters of the prompt in a run's id.
SLUG_LENGTH = 40

# Control characters but white space, and halves of characters.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]")
_HANGUL = re.compile(r"[가-힣]")
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")

_SPEC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "scenes": {"type": "integer", "minimum": SCENES[0], "maximum": SCENES[1], "default": 4},
        "language": {"enum": list(LANGUAGES), "description": "the prompt's unless given"},
        "size": {
            "type": "string",
            "pattern": "^[0-9]{2,4}x[0-9]{2,4}$",
            "default": "720x1280",
            "description": f"width and height, even, {SIDES[0]} to {SIDES[1]} pixels each",
        },
        "scene_seconds": {
            "type": "number",
            "minimum": SECONDS[0],
            "maximum": SECONDS[1],
            "default": 4,
            "description": "of a scene at least; it lasts for as long as its narration",
        },
        "engine": {"enum": list(ENGINES), "default": "auto"},
    },
    "additionalProperties": False,
}
ACCEPTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {
            "type": "string",
            "pattern": r"\S",
            "maxLength": PROMPT_LENGTH,
            "description": "what the short is about, in Korean or English",
        },
        "spec": _SPEC,
        "file_path": {
            "type": "string",
            "minLength": 1,
            "description": "instead of a prompt: a text file with it, or JSON with prompt and spec",
        },
        "options": {**_SPEC, "description": "of all files of a batch; the spec in a file goes before it"},
    },
    "anyOf": [{"required": ["prompt"]}, {"required": ["file_path"]}],
}


@dataclass(frozen=True)
class Spec:
    """A checked input.

    Attributes:
        prompt: what the short is about.
        scenes: how many scenes.
        language: ``ko`` or ``en``: of narration and subtitles.
        width, height: pixels, even.
        scene_seconds: how long a scene lasts at least.
        engine: ``auto`` (the language model that the settings name, if they do) or ``templates``.
    """

    prompt: str
    scenes: int
    language: str
    width: int
    height: int
    scene_seconds: float
    engine: str

    @classmethod
    def from_input(cls, data: Any) -> Spec:
        """Check an input of the shape of :data:`ACCEPTS`.

        Raises:
            BadInput: names the field, what was read and what was expected.
        """
        if not isinstance(data, dict):
            raise BadInput(f"input: read {data!r:.80}, expected an object with a prompt")
        if data.get("file_path") is not None:
            if data.get("prompt") is not None:
                raise BadInput("the input has both a prompt and a file_path: expected one of them")
            data = _from_file(data)
        prompt, given = data.get("prompt"), data.get("spec") or {}
        if not isinstance(prompt, str) or not prompt.strip() or len(prompt) > PROMPT_LENGTH:
            raise BadInput(f"prompt: read {prompt!r:.80}, expected a text of 1 to {PROMPT_LENGTH} characters")
        if wrong := _UNSPEAKABLE.search(prompt):
            raise BadInput(f"prompt: read the character {wrong[0]!r}, expected none but letters and signs")
        if not isinstance(given, dict):
            raise BadInput(f"spec: read {given!r:.80}, expected an object")
        known = _SPEC["properties"]
        if unknown := sorted(set(given) - set(known)):
            raise BadInput(f"spec: read {', '.join(unknown)[:80]}, expected some of {', '.join(known)}")
        prompt = " ".join(unicodedata.normalize("NFC", prompt).split())
        width, height = _size(given.get("size", "720x1280"))
        return cls(
            prompt=prompt,
            scenes=int(_number("scenes", given.get("scenes", 4), *SCENES, whole=True)),
            language=_one_of("language", given.get("language", language_of(prompt)), LANGUAGES),
            width=width,
            height=height,
            scene_seconds=_number("scene_seconds", given.get("scene_seconds", 4), *SECONDS),
            engine=_one_of("engine", given.get("engine", "auto"), ENGINES),
        )


def language_of(text: str) -> str:
    """``ko`` where there is Hangul, else ``en``."""
    return "ko" if _HANGUL.search(text) else "en"


def run_id(data: Any) -> str:
    """The id of a run: minute (local time) and prompt, such as ``20251105_1430_우주여행고양이``."""
    given = data if isinstance(data, dict) else {}
    prompt = given.get("prompt") or PurePosixPath(str(given.get("file_path") or "")).stem
    text = unicodedata.normalize("NFC", prompt) if isinstance(prompt, str) else ""
    slug = re.sub(r"[\W_]+", "", text)[:SLUG_LENGTH] or "short"
    return f"{datetime.now():%Y%m%d_%H%M}_{slug}"


def _from_file(data: dict[str, Any]) -> dict[str, Any]:
    path, options, own = data["file_path"], data.get("options") or {}, data.get("spec") or {}
    if not isinstance(path, str) or not path:
        raise BadInput(f"file_path: read {path!r:.80}, expected a path or a storage URL")
    for field, value in (("options", options), ("spec", own)):
        if not isinstance(value, dict):
            raise BadInput(f"{field}: read {value!r:.80}, expected an object")
    with local_copy(path) as copy:
        if copy.stat().st_size > FILE_BYTES:
            raise BadInput(f"{path}: a prompt's file has at most {FILE_BYTES} bytes")
        try:
            text = copy.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise BadInput(f"{path}: no text in UTF-8") from None
    if not text.lstrip().startswith("{"):
        return {"prompt": text.strip(), "spec": {**options, **own}}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: neither a prompt nor JSON ({error})") from None
    spec = found.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadInput(f"{path}: spec: read {spec!r:.80}, expected an object")
    return {"prompt": found.get("prompt"), "spec": {**options, **spec, **own}}


def _number(field: str, value: Any, low: float, high: float, *, whole: bool = False) -> float:
    kind = "a whole number" if whole else "a number"
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high:
        raise BadInput(f"spec.{field}: read {value!r:.40}, expected {kind} from {low:g} to {high:g}")
    return float(value)


def _one_of(field: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadInput(f"spec.{field}: read {value!r:.40}, expected {' or '.join(known)}")
    return str(value)


def _size(value: Any) -> tuple[int, int]:
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if any(side % 2 or not SIDES[0] <= side <= SIDES[1] for side in sides):
        raise BadInput(
            f"spec.size: read {value!r:.40}, expected WIDTHxHEIGHT, even, {SIDES[0]} to {SIDES[1]} each"
        )
    return sides

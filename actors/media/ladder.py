"""Which renditions a video gets: by its size, and never larger than it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: Shorter side of a rendition in pixels → most kilobits a second of its picture, and of its sound.
LADDER = {1080: (5000, 128), 720: (2800, 128), 480: (1400, 96), 360: (800, 96), 240: (400, 64)}
#: Share of a rung that a video has to reach for it; it then gets its own size.
NEARLY = 0.9


@dataclass(frozen=True)
class Rendition:
    """One size of a video.

    Attributes:
        name: e.g. ``720p``, by the shorter side.
        width, height: in pixels, both even.
        video_kbps, audio_kbps: most kilobits a second.
    """

    name: str
    width: int
    height: int
    video_kbps: int
    audio_kbps: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Rendition:
        return cls(**value)


def renditions_of(width: int, height: int, max_height: int | None = None) -> list[Rendition]:
    """The rungs of the ladder that a video reaches, largest first; for one below the ladder its own size.

    Parameters:
        width, height: as it is shown, in pixels.
        max_height: the largest rung to take.
    """
    short, lowest = min(width, height), min(LADDER)
    rungs = [rung for rung in LADDER if rung * NEARLY <= short and rung <= (max_height or rung)]
    return [_rendition(width, height, min(rung, short), *LADDER[rung]) for rung in rungs or [lowest]]


def _rendition(width: int, height: int, short: int, video_kbps: int, audio_kbps: int) -> Rendition:
    scale = short / min(width, height)
    wide, high = _even(width * scale), _even(height * scale)
    return Rendition(f"{min(wide, high)}p", wide, high, video_kbps, audio_kbps)


def _even(length: float) -> int:
    # The codec works on pairs of pixels. Down, so that nothing is enlarged.
    return max(2, int(length + 1e-6) // 2 * 2)

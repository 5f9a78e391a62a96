"""HLS playlists (RFC 8216): read, checked, and the one that names all renditions."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from callboard.errors import StageError

from .ladder import Rendition

MASTER = "master.m3u8"
PLAYLIST = "index.m3u8"
SEGMENT = "segment-%05d.ts"
#: What the sound of all renditions is: AAC-LC.
_SOUND = "mp4a.40.2"

_EXTINF = re.compile(r"#EXTINF:([\d.]+),")
_PARAMETERS = re.compile(rb"\x00\x00\x01[\x27\x47\x67](...)", re.DOTALL)


@dataclass(frozen=True)
class Segments:
    """A playlist of segments: their names, and how many seconds each lasts."""

    names: list[str]
    seconds: list[float]

    @property
    def total(self) -> float:
        return sum(self.seconds)


@dataclass(frozen=True)
class Encoded:
    """A rendition that has been made.

    Attributes:
        rendition: what it was to be.
        segments: how many there are.
        seconds: all together.
        bytes: of all segments.
        peak, average: bits a second of the largest segment and of all.
        codecs: as RFC 6381 has them.
    """

    rendition: Rendition
    segments: int
    seconds: float
    bytes: int
    peak: int
    average: int
    codecs: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Encoded:
        return cls(**{**value, "rendition": Rendition.from_json(value["rendition"])})


def read_playlist(text: str) -> Segments:
    """The segments that a playlist names.

    Raises:
        StageError: it is no whole playlist.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != "#EXTM3U" or lines[-1] != "#EXT-X-ENDLIST":
        raise StageError("no whole HLS playlist: #EXTM3U or #EXT-X-ENDLIST is missing")
    seconds = [float(found[1]) for line in lines if (found := _EXTINF.match(line))]
    names = [line for line in lines if not line.startswith("#")]
    if not names or len(names) != len(seconds):
        raise StageError(f"an HLS playlist with {len(names)} segments and {len(seconds)} lengths of such")
    return Segments(names, seconds)


def measure(rendition: Rendition, folder: Path, *, sound: bool) -> Encoded:
    """What has been made of a rendition, in a folder with its playlist and segments.

    Raises:
        StageError: something of it is missing.
    """
    listed = read_playlist((folder / PLAYLIST).read_text("utf-8"))
    sizes = [(folder / name).stat().st_size for name in listed.names]
    rates = [size * 8 / max(seconds, 0.001) for size, seconds in zip(sizes, listed.seconds, strict=True)]
    codecs = [_picture_codec((folder / listed.names[0]).read_bytes()), *([_SOUND] if sound else [])]
    return Encoded(
        rendition=rendition,
        segments=len(sizes),
        seconds=round(listed.total, 6),
        bytes=sum(sizes),
        peak=int(max(rates)),
        average=int(sum(sizes) * 8 / max(listed.total, 0.001)),
        codecs=",".join(codecs),
    )


def master_playlist(encoded: list[Encoded], rate: float) -> str:
    """The playlist that names those of all renditions, largest first, with what a player chooses by.

    Parameters:
        rate: frames a second.
    """
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for one in encoded:
        size = f"{one.rendition.width}x{one.rendition.height}"
        lines += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={one.peak},AVERAGE-BANDWIDTH={one.average},RESOLUTION={size},"
            f'FRAME-RATE={rate:.3f},CODECS="{one.codecs}"',
            f"{one.rendition.name}/{PLAYLIST}",
        ]
    return "\n".join(lines) + "\n"


def _picture_codec(segment: bytes) -> str:
    """H.264's profile, constraints and level, as the first sequence parameter set has them."""
    found = _PARAMETERS.search(segment)
    if found is None:
        raise StageError("a segment without an H.264 sequence parameter set")
    return f"avc1.{found[1].hex()}"

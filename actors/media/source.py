"""What a video file is, as ffmpeg reads it: size as shown, seconds, streams."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors import ffmpeg
from actors.scratch import scratch_folder
from callboard.errors import BadInput

#: Containers that are read. A playlist is none of them: it would name other files, and addresses.
FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,flv,ogg,asf,mxf,gif,ivf,nut,wtv,rm,dv,mjpeg,yuv4mpegpipe,"
    "h264,hevc,m4v,mpegvideo,obu,av1"
)
#: Options before ``-i`` for a file that somebody else has made.
UNTRUSTED = ["-protocol_whitelist", "file", "-format_whitelist", FORMATS]
#: Most pixels of a frame: twice those of 8K.
MOST_PIXELS = 67_108_864

_STREAM = re.compile(r"^ *Stream #0:(\d+)[^ ]*: (Video|Audio): (\w+)(.*)$", re.MULTILINE)
_SIZE = re.compile(r", (\d+)x(\d+)")
_PIXEL_SHAPE = re.compile(r"\[SAR (\d+):(\d+) ")
_RATE = re.compile(r", ([\d.]+)(k?) fps")
_TURN = re.compile(r"rotation of (-?[\d.]+) degrees")
_CLOCK = re.compile(r"Duration: (\d+):(\d+):([\d.]+)")


@dataclass(frozen=True)
class Source:
    """A video.

    Attributes:
        width, height: as it is shown, in pixels: turned upright, with square pixels.
        rate: frames a second.
        seconds: from the first moment to the end of the last frame.
        video, audio: numbers of the streams; ``audio`` is None for a silent one.
        codec: of the picture.
    """

    width: int
    height: int
    rate: float
    seconds: float
    video: int
    audio: int | None
    codec: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Source:
        return cls(**value)


def inspect(
    path: Path, *, before: list[str] = UNTRUSTED, report: Callable[[float], None] | None = None
) -> Source:
    """Look at a file, and read it once to its end for its length.

    Parameters:
        before: options for its input.
        report: called with the share of that, 0 to 1.

    Raises:
        BadInput: it is no video that can be read.
    """
    input_of = [*before, "-i", f"file:{path}"]
    log = ffmpeg.run(input_of, check=False).log
    if "Input #0" not in log:
        lines = [line for line in log.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else "ffmpeg said nothing"
        raise BadInput(f"{path.name}: no video file of a kind that is read here ({reason})")
    # A cover picture is a video stream, too.
    streams = [found for found in _STREAM.finditer(log) if "(attached pic)" not in found[4]]
    pictures = [found for found in streams if found[2] == "Video" and _SIZE.search(found[4])]
    if not pictures:
        raise BadInput(f"{path.name}: no video in it, but {_said(streams)}")
    picture = pictures[0]
    width, height = _shown_size(picture[4], log[picture.end() :])
    if not width or not height or width * height > MOST_PIXELS:
        raise BadInput(f"{path.name}: a picture of {width}×{height} pixels is not encoded")
    sounds = [int(found[1]) for found in streams if found[2] == "Audio"]
    return Source(
        width=width,
        height=height,
        rate=_rate_of(picture[4]),
        seconds=_seconds_of(path, input_of, int(picture[1]), _clock_of(log), report),
        video=int(picture[1]),
        audio=sounds[0] if sounds else None,
        codec=picture[3],
    )


def _said(streams: list[re.Match[str]]) -> str:
    return ", ".join(f"{found[2].lower()} ({found[3]})" for found in streams) or "nothing that can be shown"


def _shown_size(facts: str, rest: str) -> tuple[int, int]:
    size, shape = _SIZE.search(facts), _PIXEL_SHAPE.search(facts)
    assert size is not None
    width, height = int(size[1]), int(size[2])
    if shape and int(shape[1]) and int(shape[2]):
        width = round(width * int(shape[1]) / int(shape[2]))
    # The lines up to the next stream belong to this one.
    turn = _TURN.search(rest.partition("Stream #")[0])
    if turn and round(abs(float(turn[1]))) % 180 == 90:
        return height, width
    return width, height


def _rate_of(facts: str) -> float:
    found = _RATE.search(facts)
    rate = float(found[1]) * (1000 if found[2] else 1) if found else 0.0
    return rate or 25.0


def _clock_of(log: str) -> float:
    """The length that the file says it has, in seconds; 0 where it says none."""
    found = _CLOCK.search(log)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


def _seconds_of(
    path: Path, input_of: list[str], stream: int, clock: float, report: Callable[[float], None] | None
) -> float:
    """The end of the stream's last frame. Not every container knows it, so all packets are read."""

    def show(seconds: float) -> None:
        if report is not None and clock:
            report(min(1.0, seconds / clock))

    mapped = [*input_of, "-map", f"0:{stream}"]
    with scratch_folder() as scratch:
        packets = scratch / "packets"
        ffmpeg.run([*mapped, "-c", "copy", "-f", "framecrc", str(packets)], report=show, check=False)
        seconds = _last_end(packets)
    # Without time stamps in the file there are some only after decoding.
    seconds = seconds or ffmpeg.run([*mapped, "-f", "null", "-"], report=show, check=False).seconds
    if not seconds:
        raise BadInput(f"{path.name}: no frame in it can be read")
    return seconds


def _last_end(packets: Path) -> float:
    """The latest end of a packet in a list of them, in seconds; 0 where there are no times."""
    unit, end = 0.0, 0
    if packets.exists():
        with packets.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("#tb 0:"):
                    above, _, below = line[6:].partition("/")
                    unit = int(above) / int(below)
                elif not line.startswith("#"):
                    # stream, decoded at, shown at, for how long, size, checksum
                    shown, lasts = (field.strip() for field in line.split(",")[2:4])
                    if shown.isdigit() and lasts.isdigit():
                        end = max(end, int(shown) + int(lasts))
    return end * unit

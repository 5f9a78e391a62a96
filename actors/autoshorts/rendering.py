"""The video: moving pictures, words above them, voices over music that gives way. One call of ffmpeg."""

from __future__ import annotations

import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors import ffmpeg

#: Seconds of a cross-fade; of a narration's start after its scene's, and of the rest after it.
FADE, LEAD_IN, LEAD_OUT = 0.35, 0.3, 0.3
#: Loudness of the whole (LUFS) and its highest peak (dBTP), as the platforms for shorts want them.
LOUDNESS, TRUE_PEAK = -16, -1.5
#: How far the camera moves over a picture.
_ZOOM = 0.14


@dataclass(frozen=True)
class Material:
    """Local files of one scene: its picture (larger than the frame), its words, its narration (WAV)."""

    picture: Path
    words: Path
    narration: Path


@dataclass(frozen=True)
class Slot:
    """When a scene is shown: seconds from the video's start, and for how long."""

    start: float
    seconds: float


def timetable(scenes: Sequence[Mapping[str, Any]], narrations: Sequence[float], rate: int) -> list[Slot]:
    """When each scene is shown: as planned, or as its narration (seconds) wants it; in whole frames."""
    slots: list[Slot] = []
    start = 0
    for scene, spoken in zip(scenes, narrations, strict=True):
        frames = -(-max(scene["seconds"], spoken + LEAD_IN + LEAD_OUT) * rate // 1)
        slots.append(Slot(start / rate, frames / rate))
        start += int(frames)
    return slots


def seconds_of_wav(path: Path) -> float:
    """How long a WAV file is."""
    with wave.open(str(path), "rb") as file:
        return file.getnframes() / file.getframerate()


def render(
    layout: Mapping[str, Any],
    slots: Sequence[Slot],
    materials: Sequence[Material],
    music: Path,
    target: Path,
    report: Callable[[float], None],
) -> None:
    """Make the MP4 (H.264 and AAC).

    Parameters:
        report: called with the percent that ffmpeg has made.

    Raises:
        FfmpegError: it has failed.
    """
    seconds = slots[-1].start + slots[-1].seconds
    arguments: list[str] = []
    for material in materials:
        arguments += ["-i", f"file:{material.picture}"]
    for material in materials:
        arguments += ["-i", f"file:{material.words}"]
    for material in materials:
        arguments += ["-i", f"file:{material.narration}"]
    arguments += ["-stream_loop", "-1", "-i", f"file:{music}"]
    graph = [*_pictures(layout, slots), *_sound(slots, seconds)]
    arguments += [
        *("-filter_complex", ";".join(graph), "-map", "[video]", "-map", "[audio]", "-t", f"{seconds:.3f}"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-b:a", "160k", "-ar", "44100", "-movflags", "+faststart"),
        f"file:{target}",
    ]
    ffmpeg.run(arguments, report=lambda done: report(min(100.0, 100 * done / seconds)))


def _pictures(layout: Mapping[str, Any], slots: Sequence[Slot]) -> list[str]:
    width, height, rate = layout["width"], layout["height"], layout["frames_per_second"]
    count, graph = len(slots), []
    fade = min(FADE, *(slot.seconds / 3 for slot in slots))
    for index, (scene, slot) in enumerate(zip(layout["scenes"], slots, strict=True)):
        # Each scene goes on below the fade to the next one, which begins at its own time.
        frames = round((slot.seconds + (fade if index < count - 1 else 0)) * rate)
        zoom, x, y = _camera(scene["motion"], frames)
        graph += [
            f"[{index}:v]zoompan=z='{zoom}':x='{x}':y='{y}':d={frames}:s={width}x{height}:fps={rate},"
            f"setsar=1,format=yuv420p[moving{index}]",
            f"[moving{index}][{count + index}:v]overlay=format=auto,format=yuv420p,settb=AVTB[scene{index}]",
        ]
    shown = "scene0"
    for index in range(1, count):
        start = slots[index].start
        graph.append(
            f"[{shown}][scene{index}]xfade=transition=fade:duration={fade:.3f}:offset={start:.3f}[faded{index}]"
        )
        shown = f"faded{index}"
    return [*graph, f"[{shown}]null[video]"]


def _camera(motion: str, frames: int) -> tuple[str, str, str]:
    """zoompan's expressions for zoom and the window's place: an even move with a soft start and end."""
    share = f"(1-cos(PI*on/{max(1, frames - 1)}))/2"
    middle = ("iw/2-iw/zoom/2", "ih/2-ih/zoom/2")
    return {
        "zoom_in": (f"1+{_ZOOM}*{share}", *middle),
        "zoom_out": (f"{1 + _ZOOM}-{_ZOOM}*{share}", *middle),
        "pan_right": (f"{1 + _ZOOM}", f"(iw-iw/zoom)*{share}", middle[1]),
        "pan_left": (f"{1 + _ZOOM}", f"(iw-iw/zoom)*(1-{share})", middle[1]),
    }[motion]


def _sound(slots: Sequence[Slot], seconds: float) -> list[str]:
    count = len(slots)
    graph = []
    for index, slot in enumerate(slots):
        delay = round((slot.start + LEAD_IN) * 1000)
        graph.append(
            f"[{2 * count + index}:a]aresample=44100,aformat=channel_layouts=stereo,highpass=f=90,"
            f"adelay={delay}:all=1[voice{index}]"
        )
    voices = "".join(f"[voice{index}]" for index in range(count))
    end = max(0.0, seconds - 1.2)
    return [
        *graph,
        f"{voices}amix=inputs={count}:normalize=0:duration=longest,apad,atrim=duration={seconds:.3f},"
        "volume=1.6,asplit[spoken][key]",
        f"[{3 * count}:a]aformat=channel_layouts=stereo,atrim=duration={seconds:.3f},volume=0.5[music]",
        # The music gives way while somebody speaks.
        "[music][key]sidechaincompress=threshold=0.02:ratio=8:attack=40:release=450[below]",
        "[spoken][below]amix=inputs=2:normalize=0:duration=first,"
        f"loudnorm=I={LOUDNESS}:TP={TRUE_PEAK}:LRA=11,aresample=44100,"
        f"afade=t=out:st={end:.3f}:d={seconds - end:.3f}[audio]",
    ]

"""Background music, synthesised: chords, bass, arpeggio, melody and a soft beat, each scene in its mood."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

RATE = 44_100
#: Seconds that the music goes on after the last scene, and in which it fades.
TAIL = 1.5
PEAK = 0.89
_BEATS_PER_BAR = 4


@dataclass(frozen=True)
class _Mood:
    """``scale`` in semitones, ``chords`` as degrees; how loud ``melody`` and ``beat`` are."""

    scale: tuple[int, ...]
    chords: tuple[int, ...]
    melody: float
    beat: float
    arpeggio: int


_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_LYDIAN, _MIXOLYDIAN = (0, 2, 4, 6, 7, 9, 11), (0, 2, 4, 5, 7, 9, 10)
_MOODS = {
    "bright": _Mood(_MAJOR, (0, 4, 5, 3), 0.9, 0.8, 8),
    "calm": _Mood(_MAJOR, (0, 5, 3, 0), 0.6, 0.0, 4),
    "tense": _Mood(_MINOR, (0, 5, 0, 6), 0.5, 1.0, 8),
    "wonder": _Mood(_LYDIAN, (0, 1, 0, 1), 0.8, 0.3, 8),
    "warm": _Mood(_MAJOR, (3, 4, 2, 5), 0.8, 0.4, 4),
    "triumph": _Mood(_MIXOLYDIAN, (0, 6, 3, 0), 1.0, 1.0, 8),
}


def compose(layout: Mapping[str, Any], report: Callable[[float], None] = lambda percent: None) -> bytes:
    """Music for a layout, as WAV: stereo, 16 bits, as long as its scenes and a tail.

    Parameters:
        report: called with the percent that is done, a bar at a time.
    """
    random = np.random.default_rng(crc32(layout["prompt"].encode()))
    tempo = int(random.integers(84, 104))
    root = 48 + int(random.integers(0, 7))
    beat = 60 / tempo
    moods = moods_of_bars(layout["scenes"], beat * _BEATS_PER_BAR)
    total = round((layout["seconds"] + TAIL) * RATE)
    stereo = np.zeros((total + RATE * 6, 2))
    step = 0
    for bar, name in enumerate(moods):
        step = _bar(stereo, _MOODS[name], bar, beat, root, step, random)
        report(85.0 * (bar + 1) / len(moods))
    mixed = _room(stereo, random)[:total]
    report(93.0)
    return wav(_mastered(mixed))


def moods_of_bars(scenes: Sequence[Mapping[str, Any]], seconds: float) -> list[str]:
    """The mood of each bar: that of the scene in which it begins."""
    end = scenes[-1]["start"] + scenes[-1]["seconds"] + TAIL
    moods, start = [], 0.0
    while start < end:
        here = [scene for scene in scenes if scene["start"] <= start + 0.01]
        moods.append(str(here[-1]["mood"]))
        start += seconds
    return moods


def wav(sound: Sound) -> bytes:
    """Samples from -1 to 1 (rows; one or two columns) as a WAV file of 16 bits."""
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(sound.shape[1] if sound.ndim > 1 else 1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return memory.getvalue()


def _bar(
    stereo: Sound, mood: _Mood, bar: int, beat: float, root: int, step: int, random: np.random.Generator
) -> int:
    """Play one bar; ``step`` is where in the scale the melody stands, and what it leaves behind."""
    start, length = bar * beat * _BEATS_PER_BAR, beat * _BEATS_PER_BAR
    degree = mood.chords[bar % len(mood.chords)]
    chord = [_note(mood, root + 12, degree + offset) for offset in (0, 2, 4)]
    for index, note in enumerate(chord):
        _add(stereo, _pad(note, length * 1.15), start, 0.11, (index - 1) * 0.5)
    for number in (0, 2):
        _add(stereo, _bass(_note(mood, root - 12, degree), beat * 1.8), start + number * beat, 0.3, 0)
    for number in range(mood.arpeggio):
        note = chord[(0, 1, 2, 1)[number % 4]] + 12
        moment = start + number * length / mood.arpeggio
        _add(stereo, _pluck(note, beat * 1.6), moment, 0.1, 0.6 * (-1) ** number)
    for number in range(_BEATS_PER_BAR):
        if number == 0 or random.random() < 0.55:
            step = int(np.clip(step + random.integers(-2, 3), -2, 7))
            # On the first beat the melody rests on a note of the chord.
            chosen = degree + 2 * round((step - degree) / 2) if number == 0 else step
            _add(
                stereo,
                _bell(_note(mood, root + 24, chosen), beat * 2),
                start + number * beat,
                0.13 * mood.melody,
                0.15,
            )
        if mood.beat and number % 2 == 0:
            _add(stereo, _kick(), start + number * beat, 0.42 * mood.beat, 0)
        if mood.beat > 0.5:
            _add(stereo, _hat(random), start + (number + 0.5) * beat, 0.05 * mood.beat, 0.3)
    return step


def _note(mood: _Mood, root: int, degree: int) -> int:
    octave, place = divmod(degree, len(mood.scale))
    return root + 12 * octave + mood.scale[place]


def _hertz(note: float) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def _time(seconds: float) -> Sound:
    return np.arange(round(seconds * RATE)) / RATE


def _envelope(time: Sound, attack: float, release: float) -> Sound:
    """Rises within ``attack`` seconds, falls within the last ``release`` ones."""
    end = time[-1] if len(time) else 0.0
    return np.clip(np.minimum(time / attack, (end - time) / release), 0, 1) ** 1.5


def _pad(note: int, seconds: float) -> Sound:
    time, sound = _time(seconds), np.zeros(round(seconds * RATE))
    for detune in (-0.06, 0.0, 0.07):
        for harmonic in (1, 2, 3, 4):
            sound += np.sin(2 * np.pi * _hertz(note + detune) * harmonic * time + detune * 40) / harmonic**2
    return sound / 3 * _envelope(time, 0.35 * seconds, 0.4 * seconds)


def _bass(note: int, seconds: float) -> Sound:
    time = _time(seconds)
    tone = np.sin(2 * np.pi * _hertz(note) * time) + 0.3 * np.sin(4 * np.pi * _hertz(note) * time)
    return np.tanh(1.4 * tone) * np.exp(-2.2 * time) * _envelope(time, 0.01, 0.06)


def _pluck(note: int, seconds: float) -> Sound:
    time = _time(seconds)
    tone = sum(np.sin(2 * np.pi * _hertz(note) * k * time) * np.exp(-3.2 * k * time) / k for k in range(1, 6))
    return np.asarray(tone) * _envelope(time, 0.004, 0.05)


def _bell(note: int, seconds: float) -> Sound:
    time, hertz = _time(seconds), _hertz(note)
    modulator = np.sin(2 * np.pi * hertz * 2 * time) * 1.1 * np.exp(-5 * time)
    vibrato = 0.0015 * np.sin(2 * np.pi * 5 * time) * hertz
    return (
        np.sin(2 * np.pi * hertz * time + modulator + vibrato)
        * np.exp(-2.4 * time)
        * _envelope(time, 0.012, 0.1)
    )


def _kick() -> Sound:
    time = _time(0.28)
    return np.sin(2 * np.pi * (46 * time + 3.2 * (1 - np.exp(-28 * time)))) * np.exp(-11 * time)


def _hat(random: np.random.Generator) -> Sound:
    time = _time(0.07)
    return np.diff(random.normal(0, 1, len(time) + 1)) * np.exp(-70 * time)


def _add(stereo: Sound, sound: Sound, start: float, gain: float, pan: float) -> None:
    """Mix a sound in. ``pan``: -1 left to 1 right."""
    first = round(start * RATE)
    part = sound[: max(0, len(stereo) - first)] * gain
    angle = (pan + 1) * np.pi / 4
    stereo[first : first + len(part), 0] += part * np.cos(angle) * 1.4
    stereo[first : first + len(part), 1] += part * np.sin(angle) * 1.4


def _room(stereo: Sound, random: np.random.Generator) -> Sound:
    """The sound in a room of 1.4 s of reverberation."""
    length = round(1.4 * RATE)
    decay = np.exp(-np.arange(length) / RATE * 4.2)
    wet = np.zeros_like(stereo)
    size = 1 << (len(stereo) + length - 1).bit_length()
    for side in (0, 1):
        impulse = random.normal(0, 1, length) * decay
        # Highs die first in a room.
        impulse = np.convolve(impulse, np.ones(24) / 24, mode="same")
        impulse /= np.sqrt((impulse**2).sum())
        spectrum = np.fft.rfft(stereo[:, side], size) * np.fft.rfft(impulse, size)
        wet[:, side] = np.fft.irfft(spectrum, size)[: len(stereo)]
    return stereo + 0.3 * wet


def _mastered(sound: Sound) -> Sound:
    """Soft peaks, a fade at both ends, and full scale but for a margin: nothing is clipped."""
    loud = np.tanh(1.1 * sound / (np.abs(sound).max() or 1.0) * 1.2)
    ends = np.minimum(np.arange(len(loud)) / (0.05 * RATE), np.arange(len(loud))[::-1] / (TAIL * RATE))
    faded = loud * np.clip(ends, 0, 1)[:, None]
    return np.asarray(faded * (PEAK / (np.abs(faded).max() or 1.0)))

"""A process that speaks: ``python speaker.py``, with one JSON object a line on stdin and one answer each.

    {"text": "…", "voice": "ko", "rate": 165, "path": "/tmp/1.wav"}  ->  {"seconds": 4.35}
                                                                      or  {"error": "…"}

eSpeak NG is a C library for one thread: here it holds up nobody, and ends with this process, which ends when
its stdin does, however whoever started it has ended. It is run as a file: nothing of ours is imported.
"""

from __future__ import annotations

import ctypes
import json
import sys
import wave
from typing import Any

_RETRIEVAL, _DONT_EXIT = 1, 0x8000
_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3
_UTF8, _END_PAUSE = 1, 0x1000
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Speaker:
    """The library, initialised.

    Raises:
        RuntimeError: it does not start.
    """

    def __init__(self) -> None:
        import espeakng_loader  # noqa: PLC0415 (an extra)

        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self._samples_per_second = self._library.espeak_Initialize(_RETRIEVAL, 0, data, _DONT_EXIT)
        if self._samples_per_second <= 0:
            raise RuntimeError("eSpeak NG does not start")
        self._spoken: list[bytes] = []
        # Kept: the library calls it for as long as it lives.
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, rate: int, path: str) -> float:
        """Speak a text into a WAV file (mono, 16 bits). ``rate``: words a minute. Returns its seconds.

        Raises:
            RuntimeError: there is no such voice, or nothing was spoken.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise RuntimeError(f"eSpeak NG has no voice {voice!r}")
        self._library.espeak_SetParameter(_RATE_PARAMETER, rate, 0)
        self._library.espeak_SetParameter(_PITCH_PARAMETER, 46, 0)
        self._spoken.clear()
        content = text.encode()
        self._library.espeak_Synth(content, len(content) + 1, 0, 0, 0, _UTF8 | _END_PAUSE, None, None)
        self._library.espeak_Synchronize()
        frames = b"".join(self._spoken)
        if not frames:
            raise RuntimeError(f"eSpeak NG says nothing to {text[:80]!r}")
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self._samples_per_second)
            file.writeframes(frames)
        return len(frames) / 2 / float(self._samples_per_second)

    def _take(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._spoken.append(ctypes.string_at(samples, count * 2))
        return 0


def main() -> None:
    """Answer until stdin ends."""
    speaker = Speaker()
    for line in sys.stdin:
        try:
            answer: dict[str, float | str] = {"seconds": speaker.say(**json.loads(line))}
        except (RuntimeError, OSError, TypeError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

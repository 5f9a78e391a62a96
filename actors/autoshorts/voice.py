"""The voice: narrations spoken by eSpeak NG, in a process of its own."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from callboard.errors import StageError

VOICES = {"ko": "ko", "en": "en-us"}
#: Words a minute, and beyond which nobody follows any more.
RATE, FASTEST = 165, 215
#: Seconds that a narration may take to be made; hundreds are made in one.
TIMEOUT = 60.0
#: Seconds that a look at the process waits. An exception that is raised in this thread comes in between.
_LOOK = 0.1


class Voice:
    """Speaks one language; made by :func:`speaking`."""

    def __init__(self, process: subprocess.Popen[bytes], language: str) -> None:
        self._process = process
        self._voice = VOICES[language]

    def say(self, text: str, path: Path, *, within: float) -> float:
        """Speak a text into a WAV file, faster where it would take longer than ``within`` seconds.

        Returns:
            Its seconds. They may be more than asked for: nobody is made to gabble.

        Raises:
            StageError: it cannot be spoken.
        """
        seconds = self._ask(text, path, RATE)
        if seconds > within:
            seconds = self._ask(text, path, min(FASTEST, int(RATE * seconds / within) + 1))
        return seconds

    def _ask(self, text: str, path: Path, rate: int) -> float:
        assert self._process.stdin is not None
        request = {"text": text, "voice": self._voice, "rate": rate, "path": str(path)}
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._line())
        except (OSError, ValueError) as error:
            raise StageError(f"the voice has ended: {self._last_words() or error}") from error
        if "error" in answer:
            raise StageError(f"the voice: {answer['error']}")
        return float(answer["seconds"])

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        line, waited = b"", 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if selector.select(_LOOK):
                    if not (data := os.read(self._process.stdout.fileno(), 65_536)):
                        return b""
                    line += data
                elif (waited := waited + _LOOK) > TIMEOUT:
                    raise StageError(f"the voice has said nothing for {TIMEOUT:g} s")
        return line

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        self._process.kill()
        lines = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


@contextmanager
def speaking(language: str) -> Iterator[Voice]:
    """A voice; its process ends with the block, and with this process.

    Raises:
        StageError: as :meth:`Voice.say` does.
    """
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("speaker.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Voice(process, language)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

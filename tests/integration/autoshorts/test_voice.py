"""The voice: real speech in both languages, from a process that never outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

from actors.autoshorts.voice import Voice, speaking
from callboard.errors import StageError
from middleware.run import RunLost


@pytest.mark.parametrize(
    ("language", "text"),
    [("ko", "우주여행 고양이는 별을 만났습니다."), ("en", "The cat in space met a star.")],
)
def test_it_speaks(tmp_path: Path, language: str, text: str) -> None:
    path = tmp_path / "voice.wav"
    with speaking(language) as voice:
        calm = voice.say(text, path, within=60)
        quick = voice.say(text, path, within=calm * 0.9)
        hurried = voice.say(text, path, within=0.1)
    assert 1 < calm < 6
    assert hurried < quick < calm
    assert hurried > calm * 0.6  # nobody is made to gabble
    with wave.open(str(path)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        assert sound.getnframes() / sound.getframerate() == pytest.approx(hurried)
    assert np.abs(samples).max() > 3000


def test_what_cannot_be_spoken_is_an_error_and_the_voice_goes_on(tmp_path: Path) -> None:
    with speaking("en") as voice:
        with pytest.raises(StageError, match="the voice: "):
            voice.say("hello", tmp_path / "no" / "folder.wav", within=9)
        assert voice.say("hello", tmp_path / "voice.wav", within=9) > 0.2


def test_its_process_ends_with_the_block_and_says_why_it_died(tmp_path: Path) -> None:
    with suppress(RunLost), speaking("ko") as voice:
        pid = _pid(voice)
        os.kill(pid, 0)
        raise RunLost("as a revoke does")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with speaking("ko") as voice:
        os.kill(_pid(voice), signal.SIGKILL)
        with pytest.raises(StageError, match="the voice has ended"):
            voice.say("안녕", tmp_path / "voice.wav", within=9)


def test_it_ends_with_a_worker_that_is_killed() -> None:
    script = (
        "import time\nfrom actors.autoshorts.voice import speaking\n"
        "with speaking('ko') as voice:\n    print(voice._process.pid, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        worker.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), 10)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _pid(voice: Voice) -> int:
    return voice._process.pid

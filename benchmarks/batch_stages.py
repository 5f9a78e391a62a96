"""Stages of the batches that ``batch.py`` runs: bare on Dramatiq's stock broker, or tracked.

``BATCH_SYSTEM`` picks ``bare`` or ``tracked``. ``read_image`` and ``weigh_image`` work on a small PNG file;
``wait_*`` stand for stages that wait for something else, such as a model behind HTTP.
"""

from __future__ import annotations

import os
import random
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import dramatiq
import redis

DONE = "batch:done"
#: Seconds that a waiting stage takes.
WAIT = float(os.environ.get("BATCH_WAIT", "0.1"))
SYSTEM = os.environ["BATCH_SYSTEM"]

if SYSTEM == "bare":
    from dramatiq.brokers.redis import RedisBroker

    dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))
else:
    import actors  # noqa: F401

_probe: redis.Redis | None = None


def _done(path: str) -> None:
    global _probe  # noqa: PLW0603 (one connection a process, made after the fork)
    if _probe is None:
        _probe = redis.Redis.from_url(os.environ["REDIS_URL"])
    _probe.rpush(DONE, path)


def read_image(document: dict[str, Any]) -> dict[str, Any]:
    """Width and height of a PNG file."""
    header = Path(document["file_path"]).read_bytes()[16:24]
    width, height = struct.unpack(">II", header)
    return {**document, "width": width, "height": height}


def weigh_image(document: dict[str, Any]) -> dict[str, Any]:
    """The mean brightness of a greyscale PNG with one chunk of pixels."""
    content = Path(document["file_path"]).read_bytes()
    start = content.index(b"IDAT")
    (length,) = struct.unpack(">I", content[start - 4 : start])
    pixels = zlib.decompress(content[start + 4 : start + 4 + length])
    _done(document["file_path"])
    return {"brightness": sum(pixels) / len(pixels)}


def wait_one(document: dict[str, Any]) -> dict[str, Any]:
    """Wait ``WAIT`` seconds."""
    time.sleep(WAIT)
    return document


def wait_two(document: dict[str, Any]) -> dict[str, Any]:
    """Wait ``WAIT`` seconds."""
    return wait_one(document)


def wait_three(document: dict[str, Any]) -> dict[str, Any]:
    """Wait ``WAIT`` seconds."""
    return wait_one(document)


def wait_unevenly(document: dict[str, Any]) -> dict[str, Any]:
    """Wait for a time that differs by image: half of them less than ``WAIT``, a few over four times."""
    time.sleep(WAIT * random.lognormvariate(0, 0.9))
    return document


def wait_and_tell(document: dict[str, Any]) -> dict[str, Any]:
    """Wait ``WAIT`` seconds, and tell ``batch.py``."""
    wait_one(document)
    _done(document["file_path"])
    return document


WORKFLOWS = {
    "batch_images": (read_image, weigh_image),
    "batch_waits": (wait_one, wait_two, wait_three, wait_and_tell),
    "batch_uneven": (wait_unevenly,),
}
_FUNCTIONS = {function.__name__: function for functions in WORKFLOWS.values() for function in functions}

if SYSTEM == "bare":
    ACTORS = {
        name: dramatiq.actor(actor_name=name, max_retries=3)(function)
        for name, function in _FUNCTIONS.items()
    }
else:
    from callboard import Workflow, stage

    ACTORS = {name: stage(actor_name=name)(function) for name, function in _FUNCTIONS.items()}
    for _name, _functions in WORKFLOWS.items():
        Workflow(_name, [ACTORS[function.__name__] for function in _functions])

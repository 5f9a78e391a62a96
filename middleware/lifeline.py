"""The helper process of a worker: it proves that the worker is alive for as long as that is so.

It needs nothing of the worker's interpreter: a stage that holds the GIL for minutes, as C code may, delays no
proof. It does not speak for a worker that is stopped (SIGSTOP), and says at once when the worker has died.

    python -m middleware.lifeline    with what it needs to know as a line of JSON on its standard input

The input stays open for as long as the worker lives.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import redis

from db.redis_client import connect

#: Seconds between two looks at whether the worker is still the parent of this process.
_LOOK_INTERVAL = 1.0


def main() -> None:
    """Renew the worker's life until it ends, then take it away."""
    # Those are for the worker; it ends its lifeline by closing the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    told: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    client = connect(told["url"])
    interval, due = told["ttl"] / 3, 0.0
    while not _has_ended(told["pid"]):
        if time.monotonic() >= due and not _is_stopped(told["pid"]):
            due = time.monotonic() + (interval if _renew(client, told) else _LOOK_INTERVAL)
    try:
        client.delete(told["life"])
    except redis.RedisError:
        # It runs out by itself.
        return


def _has_ended(pid: int) -> bool:
    """Waits up to a second for the worker's end; another process may have inherited its side of the pipe."""
    readable, _, _ = select.select([sys.stdin], [], [], _LOOK_INTERVAL)
    return bool(readable) or os.getppid() != pid


def _is_stopped(pid: int) -> bool:
    try:
        # "pid (name) state …", where the name may hold anything.
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except OSError:
        asked = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, check=False)
        state = asked.stdout.decode("ascii", "replace").strip()
    return state[:1] in ("T", "t")


def _renew(client: redis.Redis, told: dict[str, Any]) -> bool:
    try:
        pipe = client.pipeline(transaction=True)
        # Both anew: Redis may have been emptied.
        pipe.hset(told["registry"], told["worker"], told["facts"])
        pipe.set(told["life"], 1, ex=told["ttl"])
        pipe.execute()
    except redis.RedisError:
        return False
    return True


if __name__ == "__main__":
    main()

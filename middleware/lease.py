"""The lease of a worker process: proof that it is alive, and with it every run that it has begun.

A second delivery of a message is put off for as long as the first one's worker is known to be alive. The
proof is a Redis key that expires, renewed by a helper process (``lifeline.py``).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import redis
from dramatiq import Broker
from dramatiq.logging import get_logger
from dramatiq.middleware import Middleware

from db.workers import WorkerFacts, Workers

#: Seconds between two looks at whether the helper process still runs.
SUPERVISION_INTERVAL = 1.0
#: Seconds that it has to take the proof of life away.
END_TIMEOUT = 2.0


class Lease(Middleware):
    """Keeps this worker process known to be alive.

    Parameters:
        workers: where that is written.
        ttl: seconds that a proof of life counts.
        lacking: which workflows cannot run in this process, each with the modules that it lacks.

    Attributes:
        worker_id: host, process and a number of its own, as a process's number comes again.
    """

    def __init__(
        self, workers: Workers, ttl: int, lacking: Callable[[], dict[str, list[str]]] = dict
    ) -> None:
        self.logger = get_logger(__name__, type(self))
        self.workers = workers
        self.ttl = ttl
        self.lacking = lacking
        self.worker_id = _new_worker_id()
        self._lifeline: subprocess.Popen[bytes] | None = None
        self._stop_asked = threading.Event()

    def before_worker_boot(self, broker: Broker, worker: Any) -> None:
        self.worker_id = _new_worker_id()
        facts = WorkerFacts(
            broker=getattr(broker, "broker_id", ""),
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=sorted(worker.consumer_whitelist or broker.get_declared_queues()),
            threads=worker.worker_threads,
            started=round(time.time(), 3),
            unavailable=self.lacking(),
        )
        self.start(self.worker_id, facts)

    def after_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        self.stop()

    def start(self, worker_id: str, facts: WorkerFacts) -> None:
        """Make the worker known before it takes a message, and start its lifeline."""
        try:
            self.workers.register(worker_id, facts, self.ttl)
        except redis.RedisError as error:
            self.logger.warning("The worker is not known to be alive while Redis is away: %s", error)
        told = {
            "url": self.workers.clients.url,
            "ttl": self.ttl,
            "pid": facts.pid,
            "worker": worker_id,
            "facts": facts.as_json(),
            "registry": self.workers.keys.workers,
            "life": self.workers.keys.life(worker_id),
        }
        self._stop_asked.clear()
        self._launch(told)
        threading.Thread(
            target=self._supervise, args=[worker_id, facts, told], name="lease", daemon=True
        ).start()

    def stop(self) -> None:
        """Let the lifeline take the proof away; the sweep gives back what the worker may have left."""
        self._stop_asked.set()
        self._end_lifeline()

    def _launch(self, told: dict[str, object]) -> None:
        self._end_lifeline()
        try:
            # Unbuffered: what a dead process did not read would be flushed again at the end.
            self._lifeline = subprocess.Popen(
                [sys.executable, "-m", "middleware.lifeline"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                bufsize=0,
            )
            assert self._lifeline.stdin is not None
            self._lifeline.stdin.write(json.dumps(told).encode() + b"\n")
        except OSError as error:
            self.logger.error("The worker's lifeline cannot be started: %s", error)

    def _end_lifeline(self) -> None:
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is None or lifeline.stdin is None:
            return
        lifeline.stdin.close()
        try:
            lifeline.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            # Redis is away: the proof runs out by itself.
            lifeline.kill()
            lifeline.wait()

    def _supervise(self, worker_id: str, facts: WorkerFacts, told: dict[str, object]) -> None:
        """Replace a lifeline that has ended, and stand in for it meanwhile; less often if that goes on."""
        pause = SUPERVISION_INTERVAL
        while not self._stop_asked.wait(pause):
            lifeline = self._lifeline
            if lifeline is not None and lifeline.poll() is None:
                pause = SUPERVISION_INTERVAL
                continue
            self.logger.warning("The worker's lifeline has ended; it gets another.")
            with suppress(redis.RedisError):
                self.workers.register(worker_id, facts, self.ttl)
            self._launch(told)
            pause = min(2 * pause, self.ttl / 3)


def _new_worker_id() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"

"""Connections to Redis: one a thread, so that the hot path waits for no pool."""

from __future__ import annotations

import os
import threading
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

#: Seconds after which a silent server counts as gone. A blocking command adds its own time-out to it.
SOCKET_TIMEOUT = 5.0


def connect(url: str, *, timeout: float = SOCKET_TIMEOUT, **options: Any) -> redis.Redis:
    """A client for ``url`` that gives up after ``timeout`` seconds of silence and retries a lost connection.

    A command that is sent again after its reply was lost takes effect twice: callers use it for
    transitions, which are made for that.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1), retries=3),
        **options,
    )


class ThreadClients:
    """Hands each thread a client with a connection of its own."""

    def __init__(self, url: str, *, timeout: float = SOCKET_TIMEOUT) -> None:
        self.url = url
        self.timeout = timeout
        self._local = threading.local()

    def get(self) -> redis.Redis:
        """The calling thread's client."""
        # A forked child must not speak on its parent's socket.
        if getattr(self._local, "process", None) != os.getpid():
            self._local.client = connect(self.url, timeout=self.timeout, single_connection_client=True)
            self._local.process = os.getpid()
        client: redis.Redis = self._local.client
        return client

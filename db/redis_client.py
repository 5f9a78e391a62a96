"""Connections to Redis: one a thread, so that the hot path waits for no pool."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

#: Seconds after which a silent server counts as gone. A blocking command must be shorter.
SOCKET_TIMEOUT = 5.0

_forks = 0


def connect(url: str, *, timeout: float = SOCKET_TIMEOUT, **options: Any) -> redis.Redis:
    """A client for ``url`` that gives up after ``timeout`` seconds of silence and retries a lost connection.

    A command that is sent again after its reply was lost takes effect twice: callers use it for
    transitions, which are made for that.
    """
    if sys.platform == "win32" or url.startswith("rediss:"):
        # The kernel's would be set after the TLS handshake, in which a server may be silent, too.
        options["socket_timeout"] = timeout
    else:
        options |= {"socket_timeout": None, "redis_connect_func": _KernelTimeout(timeout)}
    return redis.Redis.from_url(
        url, retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1), retries=3), **options
    )


class _KernelTimeout:
    """Leaves a socket's time-out to the kernel: Python's own costs a poll() before each send and receive."""

    def __init__(self, seconds: float) -> None:
        self._value = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))

    def __call__(self, connection: Any) -> None:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connection._sock.setsockopt(socket.SOL_SOCKET, option, self._value)
        connection.on_connect()


class ThreadClients:
    """Hands each thread a client with a connection of its own."""

    def __init__(self, url: str, *, timeout: float = SOCKET_TIMEOUT) -> None:
        self.url = url
        self.timeout = timeout
        self._local = threading.local()

    def get(self) -> redis.Redis:
        """The calling thread's client."""
        local = self._local
        # A forked child must not speak on its parent's socket.
        if getattr(local, "forks", None) != _forks:
            local.client = connect(self.url, timeout=self.timeout, single_connection_client=True)
            local.closing = _Closing(local.client)
            local.forks = _forks
        client: redis.Redis = local.client
        return client


class _Closing:
    """Closes a thread's connection when the thread ends; the client, full of cycles, would leave it open."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def __del__(self) -> None:
        connection: Any = self._client.connection
        if connection is not None:
            connection.disconnect()


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 (the process's own count)
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)

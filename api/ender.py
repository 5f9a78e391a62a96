"""Hears that the process is to end, before its server tells the application.

uvicorn waits for all open responses before it runs the lifespan's shutdown: an event stream, which ends only
when it is told to, would keep it for ever.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Ender:
    """Calls back in the event loop on SIGTERM and SIGINT, beside whatever handles them.

    Parameters:
        on_end: what to call.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._placed: dict[int, tuple[Any, Any]] = {}

    def heed(self) -> None:
        """Begin; called in the event loop. Outside of the main thread there are no signals to hear."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if callable(before):
                own = self._handler(loop, before)
                self._placed[number] = (own, before)
                signal.signal(number, own)

    def forget(self) -> None:
        """Put back what handled the signals before."""
        for number, (own, before) in self._placed.items():
            if signal.getsignal(number) is own:
                signal.signal(number, before)
        self._placed.clear()

    def _handler(
        self, loop: asyncio.AbstractEventLoop, before: Callable[..., Any]
    ) -> Callable[[int, FrameType | None], None]:
        def heed(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._on_end)
            before(number, frame)

        return heed

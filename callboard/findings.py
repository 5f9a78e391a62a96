"""What ``callboard doctor`` finds, and what it looks with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import redis

from db.redis_client import connect

if TYPE_CHECKING:
    from actors.application import Application


@dataclass(frozen=True)
class Finding:
    """One line of the report: ``level`` is ``ok``, ``warning`` or ``error``."""

    level: str
    subject: str
    text: str

    def as_json(self) -> dict[str, str]:
        """The finding as a JSON object."""
        return asdict(self)


def client_of(application: Application) -> redis.Redis:
    """A client for the board's Redis."""
    return connect(application.board.clients.url)


def sleeps(application: Application) -> bool:
    """Whether the embedded Redis is the one to use and does not run now."""
    if not application.settings.embedded:
        return False
    try:
        client_of(application).ping()
    except redis.ConnectionError:
        return True
    return False

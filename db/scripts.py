"""The Lua scripts of the board: one file a transition, with shared pieces in ``lua/includes``."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import NoScriptError

_FOLDER = Path(__file__).parent / "lua"
_INCLUDE = re.compile(r"^-- include (\w+)$", re.MULTILINE)


@lru_cache
def source(name: str) -> str:
    """The text of ``lua/<name>.lua`` with its includes put in."""
    text = (_FOLDER / f"{name}.lua").read_text("utf-8")
    return _INCLUDE.sub(lambda match: source(f"includes/{match[1]}"), text)


class Script:
    """A Lua script called by its digest, and sent whole to a server that has forgotten it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: redis.Redis, keys: list[str], arguments: list[Any]) -> Any:
        """Run the script on a client with a connection of its own.

        Raises:
            redis.RedisError: the server does not answer, after retries, or refuses.
        """
        try:
            return _ask(client, "EVALSHA", self.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return _ask(client, "EVAL", self.text, len(keys), *keys, *arguments)


@lru_cache
def script(name: str) -> Script:
    """The script ``lua/<name>.lua``."""
    return Script(source(name))


def _ask(client: redis.Redis, *command: Any) -> Any:
    """One command, past the client's general path, which costs as much as the rest of the call."""
    connection: Any = client.connection
    try:
        connection.send_command(*command)
        return connection.read_response()
    except (redis.ConnectionError, redis.TimeoutError):
        connection.disconnect()
    except redis.RedisError:
        raise
    except BaseException:
        # A thread is interrupted by an exception out of nowhere (time limit, shutdown): an answer that is
        # still to come would be read as the next command's.
        connection.disconnect()
        raise
    return client.execute_command(*command)

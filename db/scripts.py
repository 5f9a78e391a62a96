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
    return _INCLUDE.sub(lambda match: (_FOLDER / "includes" / f"{match[1]}.lua").read_text("utf-8"), text)


class Script:
    """A Lua script called by its digest, and sent whole to a server that has forgotten it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: redis.Redis, keys: list[str], arguments: list[Any]) -> Any:
        try:
            return client.execute_command("EVALSHA", self.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.execute_command("EVAL", self.text, len(keys), *keys, *arguments)

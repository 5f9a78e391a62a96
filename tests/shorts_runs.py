"""What the tests of autoshorts share: the workflow on an application of their own, and its channel."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import actors.autoshorts
import actors.autoshorts.stages
from actors.application import Application
from actors.batches import chunks
from actors.workflow import Workflow

#: As small and short as it gets: two scenes, which last as long as their narrations.
SMALL = {"scenes": 2, "size": "160x284", "scene_seconds": 1}


@dataclass
class Shorts:
    """Attributes: ``application``, ``workflow``, and a subscription to its channel."""

    application: Application
    workflow: Workflow
    listener: Any

    def start(self, prompt: str = "우주여행 고양이", **spec: Any) -> str:
        return self.workflow.start({"prompt": prompt, "spec": {**SMALL, **spec}})

    def folder(self, run_id: str) -> Path:
        return path_of(self.application.storage.folder(run_id).url)

    def messages(self) -> list[dict[str, Any]]:
        """What was published since the last call."""
        found = []
        while (message := self.listener.get_message(timeout=0.5)) is not None:
            if message["type"] == "message":
                assert len(message["data"]) < 1024
                found.append(json.loads(message["data"]))
        return found


def path_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


@contextmanager
def declared(application: Application) -> Iterator[Shorts]:
    """Autoshorts on that application."""
    chunks.declare(application.broker)
    # Actors belong to the broker that was configured when they were declared.
    importlib.reload(actors.autoshorts.stages)
    package = importlib.reload(actors.autoshorts)
    listener = application.board.clients.get().pubsub()
    listener.subscribe("autoshorts:progress")
    yield Shorts(application, package.autoshorts, listener)
    listener.close()

"""The workers that are known, and whether they are alive."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .keys import Keys
from .redis_client import ThreadClients
from .scripts import script


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker process tells of itself.

    Attributes:
        broker: the id under which Dramatiq's Redis broker keeps what it has fetched; empty on RabbitMQ.
        host, pid: where it runs.
        queues: those that it takes messages from.
        threads: how many stages it runs at a time.
        started: epoch seconds.
        unavailable: workflows that it cannot run, each with the modules that it lacks.
    """

    broker: str
    host: str
    pid: int
    queues: list[str]
    threads: int
    started: float
    unavailable: dict[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> str:
        """The form that the registry holds."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> WorkerFacts:
        """Read the form that the registry holds: what a newer version has added is left out."""
        told = json.loads(text)
        return cls(**{field.name: told[field.name] for field in fields(cls) if field.name in told})


@dataclass(frozen=True)
class KnownWorker:
    """A worker of the registry.

    Attributes:
        alive_for: seconds for which it is known to be alive; 0 for one that is not.
    """

    worker_id: str
    facts: WorkerFacts
    alive_for: float


class Workers:
    """The registry of worker processes. Every method may raise ``redis.RedisError``."""

    def __init__(self, clients: ThreadClients, keys: Keys) -> None:
        self.clients = clients
        self.keys = keys

    def register(self, worker_id: str, facts: WorkerFacts, ttl: int) -> None:
        """Make a worker known, and alive for ``ttl`` seconds."""
        pipe = self.clients.get().pipeline(transaction=True)
        pipe.hset(self.keys.workers, worker_id, facts.as_json())
        pipe.set(self.keys.life(worker_id), 1, ex=ttl)
        pipe.execute()

    def known(self) -> list[KnownWorker]:
        """All workers that have not been buried, dead ones too."""
        client = self.clients.get()
        registry: Any = client.hgetall(self.keys.workers)
        ids = [worker_id.decode() for worker_id in registry]
        pipe = client.pipeline(transaction=False)
        for worker_id in ids:
            pipe.pttl(self.keys.life(worker_id))
        lives = pipe.execute()
        return [
            KnownWorker(worker_id, WorkerFacts.from_json(text), max(0, life) / 1000)
            for worker_id, text, life in zip(ids, registry.values(), lives, strict=True)
        ]

    def threads(self) -> int:
        """How many stages the workers that are alive can run at a time."""
        return sum(worker.facts.threads for worker in self.known() if worker.alive_for)

    def bury(self, worker_id: str, *, dry_run: bool = False) -> bool:
        """Forget a worker that is dead, unless its recorder has left events that another must claim first.

        Returns:
            Whether it is forgotten (or would be).
        """
        arguments = [self.keys.recorders, worker_id, int(dry_run)]
        return bool(script("bury")(self.clients.get(), [self.keys.workers, self.keys.events], arguments))

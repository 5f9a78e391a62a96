"""A whole installation for one test: servers, workers and a clock, and every invariant at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from chaos_runs import WORKERS
from servers import RedisServer
from waiting import wait_until

from callboard.chaos.effects import Body, read_bodies
from callboard.chaos.invariants import judge
from callboard.chaos.observation import Observation
from callboard.chaos.observer import Observer
from callboard.chaos.pool import Pool
from callboard.chaos.stores import read_stores, settle
from db.board import Board
from db.connection import open_database
from db.keys import Keys
from db.ledger import Ledger
from db.migrate import migrate
from db.redis_client import ThreadClients
from db.status import ChainSummary, StatusManager
from db.status_rows import ENDED


class House:
    """Workers of ``tests/faults/workers`` on a test's own servers.

    Use it as a context manager: leaving ends the workers, settles the ledger and judges the invariants.

    Parameters:
        folder: of logs, storage and effects.
        modules: for ``WORKFLOWS``.
        environment: variables beside those of the tests' process.
    """

    def __init__(
        self, redis: RedisServer, database_url: str, folder: Path, modules: str, **environment: str
    ) -> None:
        self.folder = folder
        self.effects = folder / "effects.jsonl"
        self.database = open_database(database_url)
        migrate(self.database)
        self.board = Board(ThreadClients(f"{redis.url}/0"), Keys())
        self.ledger = Ledger(self.database)
        self.status = StatusManager(self.board, self.ledger)
        self.environment = {
            **os.environ,
            "REDIS_URL": f"{redis.url}/0",
            "DATABASE_URL": database_url,
            "STORAGE_URL": f"file://{folder}/storage",
            "CALLBOARD_HOME": str(folder / "home"),
            "WORKFLOWS": modules,
            "PYTHONPATH": os.pathsep.join([str(WORKERS), *filter(None, sys.path)]),
            **environment,
        }
        self.lease = float(self.environment.get("LEASE_TTL", "30"))
        self.seen = Observation(lease=self.lease)
        self.observer = Observer(self.board, Ledger(open_database(database_url)), self.seen)
        self.pool = self.new_pool()

    def new_pool(self, **environment: str) -> Pool:
        """Workers and clock, not started; variables may differ from the first ones'."""
        log = self.folder / f"log-{len(list(self.folder.glob('log-*')))}"
        log.touch()
        return Pool({**self.environment, **environment}, log, processes=2, threads=2)

    def __enter__(self) -> House:
        self.pool.__enter__()
        self.pool.wait_until_ready()
        self.observer.__enter__()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.observer.__exit__()
        self.pool.end()
        if kind is None:
            self.judge()

    def replace_pool(self, **environment: str) -> None:
        """End the workers, and start others with other variables."""
        self.pool.end()
        known = self.pool.deaths
        self.pool = self.new_pool(**environment)
        self.pool.deaths.update(known)
        self.pool.__enter__()
        self.pool.wait_until_ready()

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``callboard`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "callboard", *arguments],
            cwd=WORKERS,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, workflow: str, **data: Any) -> str:
        """Start a chain; its input names the effects file, too."""
        document = json.dumps({"effects": str(self.effects), **data})
        started = self.command("start", workflow, "--input", document)
        assert started.returncode == 0, started.stderr
        chain_id = started.stdout.strip()
        self.seen.chains[chain_id] = workflow
        return chain_id

    def ended(self, chain_id: str, timeout: float = 60) -> ChainSummary:
        """The chain once it has ended."""

        def look() -> ChainSummary | None:
            found = self.status.find(chain_id)
            return found if found is not None and found.status in ENDED else None

        found = wait_until(look, timeout, f"chain {chain_id} has not ended", interval=0.1)
        assert found is not None
        return found

    def bodies(self) -> list[Body]:
        """What stages did so far."""
        return read_bodies(self.effects)

    def judge(self) -> None:
        """Every invariant over all that was seen."""
        self.seen.deaths = self.pool.deaths
        self.seen.left_in_stream = settle(self.board, self.ledger)
        read_stores(self.seen, self.board, self.ledger, self.effects)
        # Stages of these tests may fail, as they are told to.
        self.seen.has_effects = False
        broken = [
            f"{verdict.number} {verdict.title}: {words}"
            for verdict in judge(self.seen)
            for words in verdict.violations
        ]
        assert not broken, "\n".join(broken)

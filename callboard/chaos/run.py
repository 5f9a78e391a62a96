"""One run: the plan of a seed carried out, everything observed, and the invariants judged."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any
from uuid import UUID, uuid4

import redis

from callboard.errors import CallboardError
from db.connection import open_database
from db.ledger import Ledger
from db.status import StatusManager
from db.status_rows import ENDED

from .effects import read_bodies
from .faults import Target, strike
from .installation import Installation
from .invariants import allowed_doubles, judge
from .observation import Observation
from .observer import Observer, wait_for
from .plan import PlannedChain, Wanted, make
from .pool import Pool
from .report import Report
from .stores import read_boards, read_stores, settle, whereabouts

#: Messages of the actor that belongs to no workflow.
PLAIN = 10
#: Seconds that chains have to end after the last fault, beside the leases.
PATIENCE = 60.0
#: And for each chain, as they share the workers.
PATIENCE_EACH = 0.15

Say = Callable[[str], None]


class Run:
    """Carries out one plan on an installation.

    Parameters:
        wanted: what was asked for.
        processes, threads: of the workers.
        say: told each step, in words.
    """

    def __init__(
        self,
        installation: Installation,
        seed: int,
        wanted: Wanted,
        *,
        processes: int,
        threads: int,
        say: Say = lambda words: None,
    ) -> None:
        self.installation = installation
        self.folder = installation.folder / f"seed-{seed}-{uuid4().hex[:6]}"
        self.folder.mkdir()
        self.effects = self.folder / "effects.jsonl"
        self.wanted = Wanted(**{**vars(wanted), "effects": str(self.effects)})
        self.plan = make(seed, self.wanted)
        self.processes, self.threads = processes, threads
        self.say = say
        self.seen = Observation(lease=installation.lease, has_effects=wanted.has_effects)
        self.ledger = Ledger(open_database(installation.application.settings.database_url))
        self.observer = Observer(installation.application.board, self.ledger, self.seen)
        self.began = 0.0

    def carry_out(self) -> Report:
        """Start, strike, wait, settle, judge.

        Raises:
            TimeoutError: the workers do not start.
        """
        started = time.monotonic()
        self.installation.clear()
        log, application = self.folder / "log", self.installation.application
        with ExitStack() as stack:
            pool = stack.enter_context(
                Pool(self.installation.environment, log, processes=self.processes, threads=self.threads)
            )
            pool.wait_until_ready()
            stack.enter_context(self.observer)
            self.say("workers are up")
            self.began = time.monotonic()
            self._let_it_happen(pool)
            last_fault = time.monotonic()
            self.say("waiting for the end of all chains")
            with suppress(CallboardError):
                # The sweep finds them when the ledger answers again, not at once.
                self._hold_refused_to_it()
            patience = PATIENCE + 2 * self.installation.lease + PATIENCE_EACH * len(self.plan.chains)
            wait_for(self._all_have_ended, patience)
            tail = time.monotonic() - last_fault
            self._describe_stuck()
            wait_for(lambda: self._plain_is_done() or self.seen.struck("flush_redis", "lose_redis"), 90)
            pool.end()
            self.seen.deaths = pool.deaths
            self.say("settling the ledger")
            self.seen.left_in_stream = settle(application.board, self.ledger)
        self._hold_refused_to_it()
        read_stores(self.seen, application.board, self.ledger, self.effects)
        return Report(
            seed=self.plan.seed,
            plan=self.plan,
            verdicts=judge(self.seen),
            seen=self.seen,
            doubles=allowed_doubles(self.seen),
            tail=tail,
            seconds=time.monotonic() - started,
            log=log,
        )

    # -- the run -----------------------------------------------------------------------------------------

    def _let_it_happen(self, pool: Pool) -> None:
        target = Target(
            redis=self.installation.redis,
            database=self.installation.database,
            redis_proxy=self.installation.redis_proxy,
            database_proxy=self.installation.database_proxy,
            pool=pool,
            application=self.installation.application,
            seen=self.seen,
            lease=self.installation.lease,
        )
        threads = [threading.Thread(target=self._start_chains, name="starter", daemon=True)]
        threads += [
            threading.Thread(target=self._strike, args=(planned, target), daemon=True)
            for planned in self.plan.faults
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _strike(self, planned: Any, target: Target) -> None:
        self._wait_until(planned.moment)
        self.say(planned.fault.replace("_", " "))
        strike(planned.fault, target, random.Random(planned.seed), planned.seconds)

    def _wait_until(self, moment: float) -> None:
        time.sleep(max(0.0, self.began + moment - time.monotonic()))

    def _start_chains(self) -> None:
        dice = random.Random(self.plan.seed)
        revokers = []
        for number, planned in enumerate(self.plan.chains):
            self._wait_until(planned.moment)
            chain_id = self._start(planned, dice)
            if chain_id is not None and planned.revoked_after is not None:
                revoker = threading.Timer(planned.revoked_after, self._revoke, args=(chain_id,))
                revoker.daemon = True
                revoker.start()
                revokers.append(revoker)
            if self.wanted.has_effects and number % max(1, len(self.plan.chains) // PLAIN) == 0:
                self._send_plain(f"plain-{number}")
        for revoker in revokers:
            revoker.join()

    def _start(self, planned: PlannedChain, dice: random.Random) -> str | None:
        """Try until a start is taken; one that was refused must not have begun."""
        workflow = self.installation.application.workflow(planned.workflow)
        for _ in range(60):
            chain_id = str(UUID(int=dice.getrandbits(128)))
            try:
                # Known before it runs, as its events may be seen first.
                self.seen.chains[chain_id] = workflow.name
                workflow.start(planned.data, chain_id=chain_id)
                return chain_id
            except (CallboardError, redis.RedisError):
                del self.seen.chains[chain_id]
                self.seen.refused.append(chain_id)
                time.sleep(0.5)
        return None

    def _revoke(self, chain_id: str) -> None:
        from actors.control import revoke  # noqa: PLC0415 (it needs the actors to be declared)
        from callboard.errors import ChainStateError, UnknownChain  # noqa: PLC0415

        for _ in range(60):
            # An answer that was lost leaves open whether it was done.
            self.seen.revoked[chain_id] = time.time()
            try:
                revoke(chain_id, application=self.installation.application)
                self.seen.revoked[chain_id] = time.time()
                return
            except (ChainStateError, UnknownChain):
                if self._status(chain_id) != "REVOKED":
                    del self.seen.revoked[chain_id]
                return
            except (CallboardError, redis.RedisError):
                time.sleep(0.5)

    def _send_plain(self, name: str) -> None:
        broker = self.installation.application.broker
        actor = broker.get_actor("chaos_plain")
        try:
            actor.send(str(self.effects), name)
        except (redis.RedisError, CallboardError):
            return
        self.seen.plain.append(name)

    # -- the end -----------------------------------------------------------------------------------------

    def _status(self, chain_id: str) -> str:
        found = StatusManager(self.installation.application.board, self.ledger).find(chain_id)
        return found.status if found else ""

    def _all_have_ended(self) -> bool:
        boards = read_boards(self.installation.application.board, list(self.seen.chains))
        for chain_id, live in boards.items():
            status = live.state["status"] if live else self._status(chain_id)
            if status not in ENDED:
                return False
        return True

    def _describe_stuck(self) -> None:
        """While the workers are still there: what the chains that have not ended are waiting for."""
        application = self.installation.application
        queues = str(getattr(application.broker, "namespace", ""))
        with suppress(redis.RedisError):
            for chain_id in self.seen.chains:
                if self._status(chain_id) not in ENDED:
                    self.seen.stuck[chain_id] = whereabouts(application.board, queues, chain_id)

    def _plain_is_done(self) -> bool:
        done = {body.chain for body in read_bodies(self.effects) if not body.stage and body.completed}
        return done.issuperset(self.seen.plain)

    def _hold_refused_to_it(self) -> None:
        """A start that was refused, and yet took place, is held to the same promises."""
        for chain_id in self.seen.refused:
            if self._status(chain_id):
                self.seen.chains[chain_id] = "a start that was refused"

"""Why a body may run again: what happened to the run before it.

A body that has completed and runs once more is a double. One kind is allowed, as nobody can prevent it: the
run was lost between its effect and the record of its finish, because its worker died, or was taken for dead,
or because Redis was emptied before the ledger had heard of the finish.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from db.values import to_epoch

from .effects import Body
from .observation import EMPTIED, Observation, Place

#: Seconds of events that an emptied Redis may take with it: what the recorder had not written yet.
UNRECORDED = 3.0
#: Seconds for which events that a killed recorder had taken may wait: until a worker is up again, or half a
#: minute where Redis had been emptied just before and nobody knows of the death.
CLAIMED_AFTER = 40.0
#: Seconds that a worker may take to go on after it was stopped or cut off.
AFTERWARDS = 1.0
#: Faults that keep workers from Redis.
AWAY = ("cut_redis", "stall_redis", "pause_redis", "restart_redis")
#: Faults that keep workers from the database.
NO_DATABASE = ("restart_database", "pause_database", "cut_database")


class Causes:
    """Looks up what became of a run."""

    def __init__(self, seen: Observation) -> None:
        self.seen = seen
        self.recorded = {
            (event.chain, *event.place, str(event.task.get("token"))): event
            for event in seen.events
            if event.place is not None and event.task.get("status") == "SUCCESS"
        }

    def finish_of(self, body: Body) -> float | None:
        """When the board recorded the finish of this run, if it was seen to do so."""
        event = self.recorded.get((*body.place, body.token))
        return None if event is None else event.at

    def again(self, body: Body, later: Body) -> str:
        """Why ``later`` may run the place of ``body`` again; empty where nothing allows it."""
        if body.raised:
            return f"it raised {body.raised}"
        if emptied := self._emptied(body, later):
            return emptied
        if self.finish_of(body) is not None:
            return ""
        return self._died(body, later) or self._cut_off(body, later)

    def _died(self, body: Body, later: Body) -> str:
        died = self.seen.deaths.get(body.pid)
        if died is not None and (body.ended_at or body.began_at) <= died <= later.began_at + 1:
            return f"process {body.pid} was killed between its effect and its finish"
        return ""

    def _cut_off(self, body: Body, later: Body) -> str:
        for strike in self.seen.struck("pause_worker", *AWAY):
            seconds, stopped = strike.ended - strike.began, strike.name == "pause_worker"
            # Its first line may be the first thing that it does afterwards.
            meets = strike.began <= later.began_at and strike.ended + AFTERWARDS >= body.began_at
            if meets and stopped and body.pid in strike.pids:
                return f"process {body.pid} was stopped for {seconds:.1f} s"
            if meets and not stopped and seconds >= self.seen.lease / 2:
                return f"its worker could not reach Redis for {seconds:.1f} s"
        return ""

    def _emptied(self, body: Body, later: Body) -> str:
        ended_at = body.ended_at or body.began_at
        for strike in self.seen.struck(*EMPTIED):
            if ended_at >= strike.began - self.unrecorded(strike.began) and later.began_at >= strike.began:
                return "Redis was emptied before the ledger knew of its finish"
        return ""

    def is_half_recorded(self, chain_id: str) -> bool:
        """Whether a store may know this chain's end, and lack what came before.

        Recorders write side by side: one that is killed, stopped or without its database keeps back what it
        has taken. When Redis is emptied then, that is all there is of it, and a copy of the chain that is
        written back from the ledger meanwhile lacks it, too.
        """
        record = self.seen.rows.get(chain_id)
        finished = to_epoch(record.chain.finished_at) if record and record.chain.finished_at else 0.0
        return any(
            strike.began - self.unrecorded(strike.began) <= finished <= strike.ended
            for strike in self.seen.struck(*EMPTIED)
        )

    def unrecorded(self, moment: float) -> float:
        """Seconds of events before a moment that the ledger may not have had yet."""
        # A recorder that is kept from its work keeps what it has taken; events that a dead one had taken wait
        # for another to claim them. What one outage has held up meets the next one.
        held_up = [
            (strike.began, strike.ended + 2 * UNRECORDED)
            for strike in self.seen.struck("pause_worker", *NO_DATABASE, *AWAY)
        ]
        held_up += [(died, died + CLAIMED_AFTER) for died in self.seen.deaths.values()]
        since = moment - UNRECORDED
        for began, ended in sorted(held_up, reverse=True):
            if began <= moment and since <= ended:
                since = min(since, began - UNRECORDED)
        return moment - since


def by_place(seen: Observation) -> dict[Place, list[Body]]:
    """The runs of each place in the order of their begins; the plain actor's are left out.

    The board's order, by token: a worker that is stopped after its begin writes its first line late.
    """
    places: dict[Place, list[Body]] = defaultdict(list)
    for body in sorted(seen.bodies, key=lambda body: (int(body.token or 0), body.begun)):
        if body.stage:
            places[body.place].append(body)
    return places


def doubles(seen: Observation) -> Iterator[tuple[Body, Body, str]]:
    """Bodies that completed and did so once more: both runs, and what allows it, or an empty text."""
    causes = Causes(seen)
    for runs in by_place(seen).values():
        completed = [body for body in runs if body.completed]
        for body, later in pairwise(completed):
            yield body, later, causes.again(body, later)

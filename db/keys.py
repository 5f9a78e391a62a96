"""Every Redis key, channel and lifetime, built here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds that the live state stays readable after a chain's end.
FINAL_STATE_TTL = 3600
#: The same for a chain of a batch that the ledger has: an hour of them would fill Redis.
BATCH_CHAIN_TTL = 3
#: Seconds for which it is remembered that a batch's callback was sent.
CALLED_TTL = 86_400
#: Seconds that the record of what was delivered outlives the last delivery.
DELIVERIES_TTL = 7 * 86_400


@dataclass(frozen=True)
class Keys:
    """Builds the names of Redis keys for one namespace (``CALLBOARD_NAMESPACE``)."""

    namespace: str = "callboard"

    def live(self, chain_id: str) -> str:
        """Hash: the live state of a chain, until an hour after its end."""
        return f"{self.namespace}:chain:{chain_id}"

    def lone(self, task_id: str) -> str:
        """Hash: the live state of a tracked task that belongs to no chain."""
        return f"{self.namespace}:task:{task_id}"

    @staticmethod
    def array(chain_id: str) -> str:
        """String: the status array. The key is the chain id itself, as existing clients expect."""
        return chain_id

    @property
    def events(self) -> str:
        """Stream: transitions on their way to the ledger."""
        return f"{self.namespace}:events"

    def messages(self, chain_id: str) -> str:
        """Stream: a chain's progress messages, for those who come later; it lives as long as the rest."""
        return f"{self.namespace}:messages:{chain_id}"

    @staticmethod
    def job_progress(job_id: str) -> str:
        """String: how far a job is, as workers of existing systems write it."""
        return f"job:{job_id}:progress"

    @staticmethod
    def job_status(job_id: str) -> str:
        """String: what came of a job, as JSON, for an hour."""
        return f"job:{job_id}:status"

    @staticmethod
    def video_progress(video_id: str) -> str:
        """String: how far a video's encoding is, likewise."""
        return f"job:video:{video_id}:progress"

    @staticmethod
    def video_status(video_id: str) -> str:
        """String: a video's final status as JSON, likewise."""
        return f"video:{video_id}:status"

    def deliveries(self, chain_id: str) -> str:
        """Hash: message id → what is known of its delivery (``db/deliveries.py``)."""
        return f"{self.namespace}:deliveries:{chain_id}"

    @property
    def workers(self) -> str:
        """Hash: worker id → what is known of the worker, as JSON, until the sweep has buried it."""
        return f"{self.namespace}:workers"

    def life(self, worker_id: str) -> str:
        """String: there while the worker is alive (``middleware/lease.py``)."""
        return f"{self.namespace}:life:{worker_id}"

    @property
    def open(self) -> str:
        """Sorted set: chains that have not ended, by the millisecond of the sweep's next look at each."""
        return f"{self.namespace}:open"

    @property
    def sweeper(self) -> str:
        """String: held by the clock that sweeps; the others stand by."""
        return f"{self.namespace}:sweeper"

    @property
    def epoch(self) -> str:
        """String: there since the ledger was last compared with a Redis that had been emptied."""
        return f"{self.namespace}:epoch"

    @property
    def recorders(self) -> str:
        """The events stream's consumer group."""
        return "recorders"

    @property
    def rest(self) -> str:
        """String, there while the recorders let events gather; it holds nothing."""
        return f"{self.namespace}:rest"

    @property
    def progress(self) -> str:
        """Channel: progress messages of workflows that name no channel of their own."""
        return f"{self.namespace}:progress"

    @property
    def batches(self) -> str:
        """Sorted set: batches that have not ended, by the millisecond at which each is looked at next."""
        return f"{self.namespace}:batches"

    @property
    def batches_waiting(self) -> str:
        """Hash: batches with chunks that are not released yet, each with the rank of its priority."""
        return f"{self.namespace}:batches:waiting"

    def batch(self, batch_id: str) -> str:
        """Hash: what is known of a batch, until an hour after its end."""
        return f"{self.namespace}:batch:{batch_id}"

    def batch_items(self, batch_id: str) -> str:
        """String: one letter for each image of a batch (``db/batches/live.py``); it lives as long."""
        return f"{self.namespace}:batch:{batch_id}:items"

    def called(self, message_id: str) -> str:
        """String: there for a day after the message of a batch's callback was sent."""
        return f"{self.namespace}:called:{message_id}"

    @property
    def pruner(self) -> str:
        """String: there for most of an hour after a clock has begun to prune; the others stand by."""
        return f"{self.namespace}:pruner"

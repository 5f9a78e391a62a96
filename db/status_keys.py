"""Keys by which readers of existing systems see a chain, beside the status array: templates and words.

From its start on, each transition of a chain writes its progress key, and its end the status key:

    job:video:7:progress  {"progress": 42, "status": "PROCESSING", "step": "Encode", "updated_at": 1640995260}
    video:7:status        {"hls_path": "…", "duration": 61.4, "status": "READY"}

Both are written in the transition itself (``tell_readers`` in ``lua/includes/transition.lua``), so that they
say what the board says. A chain that goes on after its end has no status key until it ends again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from callboard.errors import WorkflowError

_PLACE = "{chain_id}"
# With a colon before the id: no chain's id, which is the key of a status array, has one.
_TEMPLATE = re.compile(r"(?P<prefix>[^{}\s:]+):[^{}\s]*(\{chain_id\}[^{}\s]*)+")


@dataclass(frozen=True)
class StatusFormat:
    """How the keys say what became of a chain.

    Attributes:
        waiting, running, succeeded, failed, revoked: the word for each of a chain's statuses.
        result: field of the status key for what the chain returned; empty: the fields of what it returned
            (an object) stand beside the status.
        error: field of the status key that tells why a chain failed.
    """

    waiting: str = "PENDING"
    running: str = "PROCESSING"
    succeeded: str = "DONE"
    failed: str = "FAILED"
    revoked: str = "FAILED"
    result: str = "result"
    error: str = "error_message"

    @property
    def words(self) -> dict[str, str]:
        """The word for each status of a chain."""
        return {
            "PENDING": self.waiting,
            "STARTED": self.running,
            "SUCCESS": self.succeeded,
            "FAILURE": self.failed,
            "REVOKED": self.revoked,
        }


#: How a job is told: DONE with ``result``, FAILED with ``error_message``.
JOB_STATUS = StatusFormat()
#: How a video is told: READY with ``hls_path`` and ``duration``, FAILED with ``error_reason``.
VIDEO_STATUS = StatusFormat(waiting="PROCESSING", succeeded="READY", result="", error="error_reason")


@dataclass(frozen=True)
class StatusKeys:
    """The templates of a workflow, such as ``job:{chain_id}:progress``; None for a key that it has not."""

    progress: str | None = None
    status: str | None = None
    status_format: StatusFormat = JOB_STATUS

    def check(self, workflow: str, namespace: str) -> None:
        """Check the templates.

        Parameters:
            namespace: of the board's own keys, with which no template may begin.

        Raises:
            WorkflowError: names the template that cannot be used.
        """
        for field, template in (("progress_key", self.progress), ("status_key", self.status)):
            if template is None:
                continue
            found = _TEMPLATE.fullmatch(template) if isinstance(template, str) else None
            if found is None:
                raise WorkflowError(
                    f"workflow {workflow!r}: {field}: read {template!r}, expected a key with a colon before "
                    "{chain_id} and nothing else in braces, such as 'job:{chain_id}:progress'"
                )
            if found["prefix"] == namespace:
                raise WorkflowError(
                    f"workflow {workflow!r}: {field}: read {template!r}, expected a key that does not begin "
                    f"with {namespace + ':'!r}, as the board's own do"
                )
        if self.progress is not None and self.progress == self.status:
            raise WorkflowError(f"workflow {workflow!r}: progress_key and status_key are the same")

    def of(self, chain_id: str) -> dict[str, Any]:
        """The keys of a chain, as its live hash has them; empty where there are none."""
        keys = {
            name: template.replace(_PLACE, chain_id)
            for name, template in (("progress", self.progress), ("status", self.status))
            if template is not None
        }
        told = self.status_format
        return {**keys, "words": told.words, "result": told.result, "error": told.error} if keys else {}

"""What the stages of a workflow say of their parts in a run: shares of its progress, and log lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callboard.errors import WorkflowError
from middleware.run import cut_log


def spans_of(
    workflow: str,
    weights: Sequence[tuple[int, ...] | None],
    spans: Sequence[tuple[float, float]] | None,
    log_lines: Sequence[str] | None,
) -> list[dict[str, Any]]:
    """One dictionary a stage, as :class:`db.chains.StagePlan` has it; empty where there is nothing to say.

    Parameters:
        weights: of the members of each stage, None where they count alike.
        spans, log_lines: as :class:`actors.workflow.Workflow` takes them.

    Raises:
        WorkflowError: they do not fit the stages.
    """
    count = len(weights)
    if spans is not None:
        marks = [0.0, *(mark for span in spans for mark in span), 1.0]
        if len(spans) != count or marks != sorted(marks):
            raise WorkflowError(
                f"workflow {workflow!r}: spans: read {spans!r}, expected {count} pairs of shares from 0.0 to "
                "1.0 that never go back"
            )
    if log_lines is not None and len(log_lines) != count + 1:
        raise WorkflowError(
            f"workflow {workflow!r}: log_lines: read {len(log_lines)}, expected one for each of the {count} "
            "stages and one for the end"
        )
    said: list[dict[str, Any]] = []
    for index in range(count):
        one: dict[str, Any] = {}
        if spans is not None:
            one["from"], one["to"] = spans[index]
        own = weights[index]
        if own is not None:
            one["weights"] = list(own)
        if log_lines is not None:
            one["opening"] = cut_log(log_lines[index])
        said.append(one)
    if log_lines is not None:
        said[-1]["closing"] = cut_log(log_lines[-1])
    return said

"""``callboard retry-failed``, and what ``revoke``, ``resume`` and ``why`` do with a batch's id."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import CallboardError, UnknownBatch, UnknownChain
from .terminal import AsJson, Follow, ready_application, show

if TYPE_CHECKING:
    from actors.application import Application
    from actors.batches.retry import RetryPlan
    from actors.batches.status import BatchStatus


def retry_failed(
    batch_id: Annotated[str, typer.Argument(help="The batch's id, as batch printed it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; nothing is.")] = False,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Retry what of a batch has failed: each image from the stage that failed, no finished stage again.

    With --follow the exit status is 1 for a batch that has failed or was revoked.
    """
    from actors.batches.retry import retry_failed as retry  # noqa: PLC0415 (loads everything)

    from .batch import follow_batch  # noqa: PLC0415

    application = ready_application()
    plan = retry(batch_id, dry_run=dry_run, application=application)
    show(asdict(plan), _plan_words(plan), as_json)
    if follow and not dry_run:
        raise typer.Exit(0 if follow_batch(application, batch_id, as_json) else 1)


def revoke(
    application: Application, batch_id: str, reason: str, as_json: bool, unknown: UnknownChain
) -> None:
    """Call a batch off; what is no batch either raises the error given."""
    from actors.batches.revoke import revoke_batch  # noqa: PLC0415

    try:
        receipt = revoke_batch(batch_id, reason, application=application)
    except UnknownBatch:
        raise unknown from None
    parts = [f"{receipt.told_to_stop} images told to stop", f"{receipt.queued} will not go on"]
    parts += [f"{receipt.not_started} were not started"]
    parts += [f"{receipt.retries_called_off} retries called off"] if receipt.retries_called_off else []
    show(asdict(receipt), f"batch {batch_id} revoked ({', '.join(parts)})", as_json)


def refuse_resume(application: Application, batch_id: str, unknown: UnknownChain) -> CallboardError:
    """What is to be said of a batch's id where a chain's was expected; else the error given."""
    from actors.batches.status import batch_status  # noqa: PLC0415

    try:
        batch_status(batch_id, application=application)
    except UnknownBatch:
        return unknown
    return CallboardError(
        f"{batch_id} is a batch: `callboard retry-failed {batch_id}` retries what has failed, "
        f"`callboard resume {batch_id}.NUMBER` lets one image go on"
    )


def why(application: Application, batch_id: str, as_json: bool, unknown: UnknownChain) -> bool:
    """Say where a batch stands, and what can be done. Returns False when it has failed or was revoked."""
    from actors.batches.status import batch_status  # noqa: PLC0415

    try:
        status = batch_status(batch_id, application=application)
    except UnknownBatch:
        raise unknown from None
    sentence = _why(status)
    show({"batch_id": batch_id, "status": status.status, "sentence": sentence}, sentence, as_json)
    return status.status not in ("FAILURE", "REVOKED")


def _why(status: BatchStatus) -> str:
    failed = f"{status.failed_images} of its {status.total_images} images have failed"
    hint = (
        f"`callboard batch-items {status.batch_id} --status failed` tells why, "
        f"`callboard retry-failed {status.batch_id}` retries them"
    )
    if status.finished_at is None:
        words = (
            f"the batch is under way: {status.ended_images} of {status.total_images} images have ended, "
            f"{status.failed_images} of them failed; `callboard batch-items {status.batch_id} --status open` "
            "names those whose chains `callboard why` can tell of"
        )
    elif status.status == "REVOKED":
        words = (
            f"the batch was revoked; {status.completed_images} of {status.total_images} images were complete"
        )
    elif status.failed_images:
        words = f"the batch has ended {status.status}: {failed}; {hint}"
    else:
        words = f"the batch has ended {status.status}"
    return words


def _plan_words(plan: RetryPlan) -> str:
    if not plan.images:
        return f"batch {plan.batch_id}: all that had failed is being retried already"
    verb = "would be" if plan.dry_run else "are"
    lines = [f"batch {plan.batch_id}: {plan.images} failed images {verb} retried"]
    for share in plan.stages:
        where = share.name if share.stage is None else f"from stage {share.stage} ({share.name})"
        lines.append(f"  {share.images} {where}")
    lines += [f"  {share.images} × {share.error}" for share in plan.errors]
    seconds = plan.expected_seconds
    lines.append("  expected time: " + ("unknown" if seconds is None else f"{seconds:.1f} s"))
    return "\n".join(lines)

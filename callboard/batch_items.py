"""``callboard batch-items``: the images of a batch, a line each, as JSON lines or as CSV."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import CallboardError
from .terminal import AsJson, ready_application
from .views import in_one_line

if TYPE_CHECKING:
    from db.batches.items import BatchItem


def batch_items(
    batch_id: Annotated[str, typer.Argument(help="The batch's id, as batch printed it.")],
    status: Annotated[
        str | None, typer.Option(help="Only these: completed, failed, revoked, open or pending.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a line of headings.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the images of a batch: where each stands, and why it failed."""
    from actors.batches.items import batch_items as read_items  # noqa: PLC0415 (loads everything)
    from db.batches import items_csv  # noqa: PLC0415

    if as_csv and as_json:
        raise CallboardError("--csv and --json do not go together")
    items = read_items(batch_id, status, application=ready_application())
    if as_csv:
        sys.stdout.write(items_csv.header())
    for item in items:
        if as_csv:
            sys.stdout.write(items_csv.rows([item]))
        elif as_json:
            print(json.dumps(_facts(item), ensure_ascii=False))
        else:
            print(_words(item))


def _facts(item: BatchItem) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(item).items()
    }


def _words(item: BatchItem) -> str:
    parts = [item.status]
    if item.stage is not None:
        parts.append(f"stage {item.stage}{f' {item.stage_name}' if item.stage_name else ''}")
    parts += [f"{item.retries} retries"] if item.retries else []
    parts += [in_one_line(item.error)] if item.error else []
    return f"{item.index} {item.file_path}: {' · '.join(parts)}"

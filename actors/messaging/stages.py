"""The three stages as Dramatiq actors: render → send → confirm.

Between them travels a small dict; messages, what was refused and the record of deliveries lie in the chain's
folder and their URLs travel.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actors.application import Application, application_of
from actors.progress import current_stage, progress
from actors.storage import local_copy, read_json
from actors.workflow import stage
from callboard.errors import BadInput, TooFewDelivered, TransportRefused
from db.deliveries import FAILED, SENT, SETTLED, UNCERTAIN, Deliveries
from middleware.run import Run, current_run

from .messages import Message, Renderer
from .options import Options
from .recipients import open_recipients
from .record import Record
from .report import REJECTED, as_csv, counts
from .sending import Pass
from .transports import build_transport

QUEUE = "messaging"
#: What another pass over the list cannot help.
_FINAL = (BadInput, TransportRefused, TooFewDelivered)
_HOUR, _DAY = 3_600_000, 86_400_000
#: Passes after which a mail server that stays away fails the stage, and the milliseconds between them.
_RETRIES = {"max_retries": 30, "min_backoff": 10_000, "max_backoff": 600_000}


@stage(name="Render", actor_name="messaging.render", queue_name=QUEUE, throws=_FINAL, time_limit=_HOUR)
def render_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Make each recipient's message, and check that there is a way to send it.

    Args:
        document: ``messages`` or ``file_path``, and ``options``.

    Returns:
        ``messages_url`` (JSON lines, :class:`Message`), ``rejected_url`` (JSON: rows of which there can be no
        message, with the reason), ``total`` (rows), ``options``.

    Raises:
        BadInput: the list, a template or an option cannot be used.
        TransportRefused: the settings lack what the transport needs.
    """
    if not isinstance(document, dict):
        raise BadInput(f"the input: read {str(document)[:80]!r}, expected an object")
    options = Options.of(document)
    context = current_stage()
    _, application = _here()
    build_transport(options, application.settings, context.folder)
    renderer = Renderer(context.chain_id, options, time.time())
    rejected: list[dict[str, Any]] = []
    with open_recipients(document) as (recipients, total), context.folder.open("messages.jsonl", "w") as file:
        for recipient in recipients:
            try:
                message = renderer.render(recipient)
            except ValueError as error:
                rejected.append({"row": recipient.row, "to": recipient.to[:254], "reason": str(error)})
            else:
                file.write(json.dumps(message.as_json(), ensure_ascii=False) + "\n")
            progress(max(1, 100 * recipient.row / total), substep=f"{recipient.row * 100 // total} %")
    if len(rejected) == total:
        first = rejected[0]
        raise BadInput(f"none of {total} rows can be sent; row {first['row']} {first['reason']}")
    progress(100, rows=total, rejected=len(rejected))
    return {
        "messages_url": context.folder.url_of("messages.jsonl"),
        "rejected_url": context.folder.write_json("rejected.json", rejected),
        "total": total,
        "options": document.get("options") or {},
    }


@stage(name="Send", actor_name="messaging.send", queue_name=QUEUE, throws=_FINAL, time_limit=_DAY, **_RETRIES)
def send_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Send what has not been sent.

    Returns:
        The document with ``deliveries_url`` (JSON, the record of deliveries) and ``sent``.

    Raises:
        TransportUnavailable: some are left, or the other side cannot be reached: tried again.
        TransportRefused: the other side takes nothing from us as it is set up.
    """
    options = Options.of(document)
    run, application = _here()
    record = _record(application)
    record.load_to_send(repeat_uncertain=options.repeat_uncertain)
    transport = build_transport(options, application.settings, current_stage().folder)
    with local_copy(document["messages_url"]) as path:
        going = sum(1 for _ in _messages(path))

        def tell(settled: int, found: Counter[str]) -> None:
            left = sum(count for status, count in found.items() if status not in SETTLED)
            progress(
                max(1, 100 * settled / going),
                substep=f"{settled} of {going}",
                sent=found[SENT],
                failed=found[FAILED] + found[UNCERTAIN],
                deferred=left,
            )

        found = Pass(run, record, transport, options, tell).go(_messages(path))
        tell(going, found)
    return {**document, "deliveries_url": record.finish(), "sent": found[SENT]}


@stage(name="Confirm", actor_name="messaging.confirm", queue_name=QUEUE, throws=_FINAL, time_limit=_HOUR)
def confirm_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Write the report, and judge the whole.

    Returns:
        ``total``, ``sent``, ``failed``, ``uncertain``, ``rejected`` (rows), ``success_rate`` (0 to 1),
        ``report_url`` (JSON) and ``csv_url``.

    Raises:
        TooFewDelivered: fewer than ``success_threshold`` were sent; the report is there nevertheless.
    """
    options = Options.of(document)
    _, application = _here()
    record = _record(application)
    record.load()
    rows = [
        {
            "row": refused["row"],
            "to": refused["to"],
            "status": REJECTED,
            "attempts": 0,
            "repeats": 0,
            "at": 0.0,
            "message_id": "",
            "reply": refused["reason"],
        }
        for refused in read_json(document["rejected_url"])
    ]
    with local_copy(document["messages_url"]) as path:
        for message in _messages(path):
            known = record.of(message.id).as_json()
            rows.append({"row": message.row, "to": message.to, "message_id": message.id, **known})
    rows.sort(key=lambda row: row["row"])
    found = counts(rows)
    rate = round(found[SENT] / found["total"], 4)
    folder = current_stage().folder
    url = folder.write_json("report.json", {**found, "success_rate": rate, "rows": rows})
    csv_url = folder.write_bytes("report.csv", as_csv(rows))
    facts: dict[str, Any] = dict(found)
    progress(100, **facts)
    if found[SENT] < options.success_threshold * found["total"]:
        raise TooFewDelivered(
            f"{found[SENT]} of {found['total']} messages were sent, {options.success_threshold:.0%} of them "
            f"should have been ({found[FAILED]} failed, {found[REJECTED]} rejected, {found[UNCERTAIN]} "
            f"uncertain): {csv_url}"
        )
    return {**found, "success_rate": rate, "report_url": url, "csv_url": csv_url}


def _here() -> tuple[Run, Application]:
    run = current_run()
    if run is None:
        raise RuntimeError("a stage of messaging was called outside of a chain")
    return run, application_of(run.broker)


def _record(application: Application) -> Record:
    context = current_stage()
    return Record(Deliveries(application.board, context.chain_id), context.folder)


def _messages(path: Path) -> Iterator[Message]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Message(**json.loads(line))

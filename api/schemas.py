"""JSON Schemas of what the API takes and answers, used for checks and in the OpenAPI document alike."""

from __future__ import annotations

from typing import Any

from db.batches.items import STATES
from db.models import ProcessStatus

Schema = dict[str, Any]

STATUSES = [status.value for status in ProcessStatus]
COARSE = ["PENDING", "SUCCESS", "FAILURE", "REVOKED"]
CHAIN_STATUSES = ["PENDING", "STARTED", "SUCCESS", "FAILURE", "REVOKED"]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
PERCENT: Schema = {"type": "number", "minimum": 0, "maximum": 100}
MOMENT: Schema = {
    "type": ["string", "null"],
    "description": "UTC, ISO 8601 without offset",
    "examples": ["2025-01-15T10:30:00"],
}


def closed(**properties: Schema) -> Schema:
    """An object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def nullable(kind: str, **more: Any) -> Schema:
    """That type, or null."""
    return {"type": [kind, "null"], **more}


def envelope(data: Schema, **more: Schema) -> Schema:
    """``{"success": true, "data": …, "message": …}``."""
    return closed(success={"const": True}, data=data, message=TEXT, **more)


ERROR: Schema = {
    "type": "object",
    "properties": {
        "success": {"const": False},
        "data": {},
        "message": TEXT,
        "detail": TEXT,
        "code": TEXT,
        "request_id": TEXT,
    },
    "required": ["success", "data", "message", "detail", "code", "request_id"],
    "additionalProperties": False,
}

#: One entry of the status array. Old entries lack ``process_status`` and ``created_at``.
TASK_ENTRY: Schema = {
    "type": "object",
    "properties": {
        "chain_id": TEXT,
        "stage": {"type": "integer", "minimum": 1},
        "status": {"enum": COARSE},
        "progress": PERCENT,
        "created_at": {"type": "number"},
        "updated_at": {"type": "number"},
        "metadata": {"type": "object"},
        "process_status": {"enum": STATUSES},
    },
    "required": ["chain_id", "stage", "status", "progress"],
}
TASKS = envelope({"type": "array", "items": TASK_ENTRY})
STAGE = envelope(TASK_ENTRY)

STATUS = closed(
    chain_id=TEXT,
    chain_name=TEXT,
    status={"enum": CHAIN_STATUSES},
    progress={"type": "number", "minimum": 0, "maximum": 1},
    total_tasks=COUNT,
    completed_tasks=COUNT,
    failed_tasks=COUNT,
    started_at=MOMENT,
    finished_at=MOMENT,
    error_message=nullable("string"),
    tasks={
        "type": "array",
        "items": closed(
            task_id=TEXT,
            task_name=TEXT,
            status={"enum": STATUSES},
            retries=COUNT,
            error=nullable("string"),
            started_at=MOMENT,
            finished_at=MOMENT,
        ),
    },
)
HISTORY: Schema = {
    "type": "array",
    "items": closed(
        chain_id=nullable("string"),
        chain_name=TEXT,
        status={"enum": CHAIN_STATUSES},
        completed_tasks=COUNT,
        total_tasks=COUNT,
        started_at=MOMENT,
        finished_at=MOMENT,
    ),
}
JOB = closed(
    job_id=TEXT,
    status={"enum": ["PENDING", "PROCESSING", "DONE", "FAILED"]},
    progress=PERCENT,
    result={},
    error_message=nullable("string"),
)
VIDEO = closed(
    video_id=TEXT,
    status={"enum": ["PROCESSING", "READY", "FAILED"]},
    progress=PERCENT,
    hls_path=nullable("string"),
    duration=nullable("number"),
    error_reason=nullable("string"),
)
_SECONDS = nullable("number", minimum=0, description="seconds; null while not known")
BATCH_DATA = closed(
    batch_id=TEXT,
    batch_name=nullable("string"),
    status={"enum": CHAIN_STATUSES},
    total_images=COUNT,
    completed_images=COUNT,
    failed_images=COUNT,
    revoked_images=COUNT,
    total_chunks=COUNT,
    completed_chunks=COUNT,
    failed_chunks=COUNT,
    chunk_size=COUNT,
    progress_percentage=PERCENT,
    created_at=MOMENT,
    started_at=MOMENT,
    finished_at=MOMENT,
    images_per_second=nullable("number", minimum=0, description="of late; null while not known"),
    estimated_time_remaining=_SECONDS,
    estimated_time_remaining_p90=nullable(
        "number", minimum=0, description="seconds; nine batches of ten end within them"
    ),
    source={"enum": ["redis", "ledger"]},
)
BATCH = envelope(BATCH_DATA)
BATCHES = envelope({"type": "array", "items": BATCH_DATA})
BATCH_ITEMS = envelope(
    {
        "type": "array",
        "items": closed(
            index=COUNT,
            file_path=TEXT,
            public_file_path=nullable("string"),
            chain_id=nullable("string"),
            status={"enum": list(STATES)},
            stage=nullable("integer", minimum=1, description="where it failed or stands"),
            stage_name=nullable("string"),
            error=nullable("string", description="the first line"),
            started_at=MOMENT,
            finished_at=MOMENT,
            retries=COUNT,
        ),
    },
    total=COUNT,
)
_PERCENTILES = closed(p50=nullable("number"), p95=nullable("number"))
_RATE = nullable("number", minimum=0)
BATCH_STATISTICS = envelope(
    closed(
        batch_id=nullable("string"),
        since=MOMENT,
        batches={"type": "object", "additionalProperties": COUNT, "description": "by status"},
        images=closed(total=COUNT, completed=COUNT, failed=COUNT, revoked=COUNT, open=COUNT),
        chunks=closed(total=COUNT, completed=COUNT, failed=COUNT),
        seconds={**_PERCENTILES, "description": "that batches took; those that go on, until now"},
        images_per_second={**_RATE, "description": "of the whole runs"},
        recent_images_per_second={**_RATE, "description": "of late; null while nothing goes on"},
        retries=COUNT,
        stages={
            "type": "array",
            "items": closed(
                workflow=TEXT,
                stage={"type": "integer", "minimum": 1},
                name=nullable("string"),
                task=TEXT,
                tasks=COUNT,
                succeeded=COUNT,
                failed=COUNT,
                revoked=COUNT,
                retries=COUNT,
                seconds={**_PERCENTILES, "description": "of those that have succeeded"},
                wait={**_PERCENTILES, "description": "seconds in the queue, and between two stages"},
            ),
        },
        errors={
            "type": "array",
            "description": "first lines, the most frequent first; stage is null before the first one",
            "items": closed(
                error=TEXT, workflow=nullable("string"), stage=nullable("integer", minimum=1), count=COUNT
            ),
        },
    )
)

STARTED = envelope(closed(chain_id=TEXT, workflow=TEXT), chain_id=TEXT)
RESUMED = envelope(closed(chain_id=TEXT, resumed_from={"type": "integer", "minimum": 1}))
REVOKED = envelope(
    closed(
        chain_id=TEXT,
        revoked={
            "type": "array",
            "items": closed(stage=COUNT, member=COUNT, was={"enum": STATUSES}, outcome=TEXT),
        },
    )
)
BATCH_RETRY = envelope(
    closed(
        batch_id=TEXT,
        images=COUNT,
        stages={
            "type": "array",
            "items": closed(
                stage=nullable("integer", minimum=1, description="null for images that have no chain"),
                name=TEXT,
                images=COUNT,
            ),
        },
        errors={"type": "array", "items": closed(error=TEXT, images=COUNT)},
        expected_seconds=_SECONDS,
        dry_run={"type": "boolean"},
    )
)
BATCH_REVOKED = envelope(
    closed(batch_id=TEXT, not_started=COUNT, retries_called_off=COUNT, queued=COUNT, told_to_stop=COUNT)
)
TOKEN_MADE = envelope(closed(token=TEXT, expires_in=COUNT))
WORKFLOWS = envelope(
    {
        "type": "array",
        "items": closed(
            name=TEXT,
            title=TEXT,
            stages={
                "type": "array",
                "items": closed(
                    stage={"type": "integer", "minimum": 1},
                    name=TEXT,
                    parallel={"type": "boolean"},
                    members={"type": "array", "items": TEXT},
                ),
            },
            accepts=nullable("object", description="JSON Schema of the input"),
            available={"type": "boolean", "description": "whether a chain of it can run just now"},
            missing={"type": "array", "items": TEXT, "description": "modules that are not installed"},
            install=nullable("string", description="the command that installs them"),
        ),
    }
)
HEALTH = closed(status={"const": "ok"})
READY = closed(
    status={"const": "ready"},
    dependencies={"type": "object", "additionalProperties": {"type": "object"}},
)

#: What a client may send.
START_BODY: Schema = {
    "type": "object",
    "properties": {
        "workflow": {"type": "string", "minLength": 1, "maxLength": 255},
        "input": {"description": "as the workflow accepts it"},
        "chain_id": {"type": "string", "pattern": r"^\w[\w.-]{0,199}$"},
    },
    "required": ["workflow"],
    "additionalProperties": False,
}
START_FORM: Schema = {
    "type": "object",
    "properties": {
        "workflow": {"type": "string", "minLength": 1, "maxLength": 255},
        "input": {"type": "string", "description": "JSON object; file_path is added to it"},
        "file": {"type": "string", "format": "binary", "description": "of a kind that the workflow takes"},
    },
    "required": ["workflow", "file"],
    "additionalProperties": False,
}
RESUME_BODY: Schema = {
    "type": "object",
    "properties": {"from_stage": {"type": "integer", "minimum": 1, "maximum": 10_000}},
    "additionalProperties": False,
}
RETRY_BODY: Schema = {
    "type": "object",
    "properties": {"dry_run": {"type": "boolean", "default": False, "description": "only tell"}},
    "additionalProperties": False,
}
REVOKE_BODY: Schema = {
    "type": "object",
    "properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 500}},
    "additionalProperties": False,
}

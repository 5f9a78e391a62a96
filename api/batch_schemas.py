"""JSON Schemas of the start of a batch: what a client may send, and the answer."""

from __future__ import annotations

from .schemas import TEXT, Schema, closed

STARTED = closed(success={"const": True}, data=closed(context_id=TEXT, message=TEXT))

#: What a batch is, beside its files. Bounds of numbers hold for numbers only, patterns for texts.
_CALLBACK: Schema = {"type": "string", "minLength": 1, "maxLength": 2000, "description": "an actor, or a URL"}
OPTIONS: dict[str, Schema] = {
    "batch_name": {"type": "string", "minLength": 1, "maxLength": 255, "description": "for people"},
    "workflow": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "default": "cr_extract_workflow",
        "description": "what each file goes through",
    },
    "chunk_size": {
        "type": ["integer", "string"],
        "minimum": 1,
        "maximum": 1000,
        "pattern": "^auto$",
        "default": 10,
        "description": "files of a chunk; auto: by their sizes and the time they take",
    },
    "priority": {"enum": ["high", "default", "low"], "default": "default"},
    "window": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "chunks under way"},
    "options": {"type": "object", "description": "`options` of each chain's input"},
    "success_threshold": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 1.0,
        "description": "share of the images that must succeed",
    },
    "on_complete": _CALLBACK,
    "on_success": _CALLBACK,
    "on_failure": _CALLBACK,
}
_PATHS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
#: Which of ``file_paths`` and ``prefix`` there is, is looked at apart from it: that can be said more clearly.
FIELDS: Schema = {
    "type": "object",
    "properties": {
        **OPTIONS,
        "file_paths": {**_PATHS, "description": "URLs under the storage or INPUT_ROOTS"},
        "public_file_paths": {**_PATHS, "description": "as many, in the same order"},
        "prefix": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "description": "a whole folder under the storage or in INPUT_ROOTS, such as s3://bucket/scans/",
        },
        "pattern": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "description": "of the names below the prefix; images and PDFs unless given",
        },
    },
    "required": ["batch_name"],
    "additionalProperties": False,
}
BODY: Schema = {**FIELDS, "oneOf": [{"required": ["file_paths"]}, {"required": ["prefix"]}]}
FORM: Schema = {
    "type": "object",
    "properties": {
        **OPTIONS,
        "options": {"type": "string", "description": "JSON object"},
        "files": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "format": "binary", "description": "PNG, JPEG, TIFF or PDF"},
        },
    },
    "required": ["batch_name", "files"],
    "additionalProperties": False,
}

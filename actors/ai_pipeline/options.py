"""What an input may say, and the check of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors import inputs
from callboard.errors import BadInput

#: Texts that may stand in the input itself.
MOST_INLINE = 5_000
MOST_TOPICS = 50
_COLUMN = {"type": "string", "minLength": 1, "maxLength": 200}
ACCEPTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file_path": {
            "type": "string",
            "minLength": 1,
            "description": "JSON lines, CSV or Excel (.xlsx): a path, or a storage URL",
        },
        "texts": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_INLINE,
            "items": {"type": ["string", "object"]},
            "description": (
                "in place of a file: texts, or objects with text, and label and id where they have one"
            ),
        },
        "public_file_path": {"type": "string"},
        "options": {
            "type": "object",
            "properties": {
                "task": {
                    "enum": ["auto", "topics", "classes"],
                    "description": "auto: classes where labels are given, else topics",
                },
                "topics": {
                    "type": "integer",
                    "minimum": 2,
                    "maximum": MOST_TOPICS,
                    "description": "how many; the number that fits best unless given",
                },
                "text_column": {**_COLUMN, "description": "found by its name or its content unless given"},
                "label_column": {**_COLUMN, "description": "found by its name unless given"},
                "id_column": {**_COLUMN, "description": "found by its name unless given"},
                "encoding": {"enum": ["auto", "utf-8", "cp949", "utf-16"]},
                "delimiter": {
                    "enum": [",", ";", "\t", "|"],
                    "description": "of a CSV file; found unless given",
                },
                "sheet": {**_COLUMN, "description": "of a workbook; its first one unless given"},
            },
            "additionalProperties": False,
        },
    },
    "anyOf": [{"required": ["file_path"]}, {"required": ["texts"]}],
}


@dataclass(frozen=True)
class Options:
    """How a file is read and what is done with its texts; see :data:`ACCEPTS`."""

    task: str = "auto"
    topics: int | None = None
    text_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    encoding: str = "auto"
    delimiter: str | None = None
    sheet: str | None = None


def check_input(document: Any) -> Options:
    """The options of an input that fits.

    Raises:
        BadInput: it does not; the place in it is named.
    """
    inputs.check_input(document, ACCEPTS)
    if "file_path" in document and "texts" in document:
        raise BadInput("the input has both a file_path and texts: expected one of them")
    return Options(**(document.get("options") or {}))

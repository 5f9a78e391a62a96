"""A list of messages through a mail server, a webhook, or into files: render → send → confirm.

It needs nothing but the base install. A recipient is sent to once, whoever dies on the way: what is sent is
noted message by message, and only the one that was under way when a worker died can be sent again.
"""

from __future__ import annotations

from typing import Any

from actors.workflow import Workflow

from .options import SCHEMA
from .recipients import MOST_INLINE
from .stages import confirm_stage, render_stage, send_stage

messaging = Workflow(
    "messaging_workflow",
    [render_stage, send_stage, confirm_stage],
    title="메시지 발송",
    progress_key="job:{chain_id}:progress",
    accepts={
        "type": "object",
        "properties": {
            "messages": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_INLINE,
                "items": {"type": "object", "required": ["to"]},
                "description": "each: to, and the values of its placeholders; subject, text, html of its own",
            },
            "file_path": {
                "type": "string",
                "minLength": 1,
                "description": "instead: JSON lines, or CSV with a header: a path, or a storage URL",
            },
            "options": SCHEMA,
        },
        "oneOf": [{"required": ["messages"]}, {"required": ["file_path"]}],
    },
)


def start_messaging(
    messages: list[dict[str, Any]] | None = None, file_path: str | None = None, **options: Any
) -> str:
    """Start a chain for a list of recipients, or a file of them. Returns the chain's id.

    Parameters:
        **options: see :class:`actors.messaging.options.Options`.
    """
    document: dict[str, Any] = {"options": options}
    if messages is not None:
        document["messages"] = messages
    if file_path is not None:
        document["file_path"] = file_path
    return messaging.start(document, initiated_by="api_server")


__all__ = ["messaging", "start_messaging"]

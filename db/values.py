"""What a column may hold: moments, texts and JSON, in the one spelling that both databases accept.

Moments are naive UTC datetimes in Python and in the tables, epoch seconds (float) everywhere else.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta, timezone
from typing import Any

_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_EPOCH = datetime(1970, 1, 1)


def utc_now() -> datetime:
    """Now, as the tables keep it: naive, in UTC."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def from_epoch(seconds: float) -> datetime:
    """The naive UTC moment of ``seconds`` since 1970."""
    return _EPOCH + timedelta(seconds=seconds)


def to_epoch(moment: datetime) -> float:
    """Seconds since 1970 of a naive UTC moment."""
    return moment.replace(tzinfo=timezone.utc).timestamp()


def clean_text(text: str, limit: int | None = None) -> str:
    """``text`` without what PostgreSQL refuses (NUL, lone surrogates), cut to ``limit`` characters."""
    if not text.isprintable():  # much faster than the search, and most texts are
        text = _FORBIDDEN.sub(_REPLACEMENT, text)
    return text[:limit]


def encode_json(value: Any) -> str:
    """``value`` as JSON text that both databases store: NaN and infinities become null, texts are clean.

    Raises:
        TypeError: a value that JSON does not know.
    """
    try:
        text = _dump(value)
        text.encode()
    except ValueError:
        return _dump(_clean(value))
    return _dump(_clean(value)) if "\\u0000" in text else text


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value

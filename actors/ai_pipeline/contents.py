"""What the stages keep in a chain's folder, read again: texts, and what was found of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from actors.storage import Folder, local_copy

if TYPE_CHECKING:
    import numpy as np

    from .report import Row
    from .topics import Assignment

#: JSON lines (row, id, text, label, duplicate_of), and a line of words for each text.
TEXTS, WORDS = "texts.jsonl", "words.txt"


def lines(folder: Folder, name: str) -> Iterator[str]:
    """The lines of a file."""
    with folder.open(name, "rb") as file:
        for line in file:
            yield line.decode()


def texts(folder: Folder) -> Iterator[dict[str, Any]]:
    """The texts, in order."""
    return (json.loads(line) for line in lines(folder, TEXTS))


def usable(folder: Folder, total: int) -> np.ndarray:
    """A mask of the texts that repeat no other."""
    import numpy as np  # noqa: PLC0415

    return np.fromiter((record["duplicate_of"] is None for record in texts(folder)), bool, total)


def assignment(url: str) -> Assignment:
    """What was found of each text; no pickle is opened."""
    import numpy as np  # noqa: PLC0415

    from .topics import Assignment  # noqa: PLC0415

    with local_copy(url) as path, np.load(path, allow_pickle=False) as arrays:
        return Assignment(arrays["group"], arrays["shares"], arrays["space"], {})


def groups(folder: Folder, found: Assignment, model: dict[str, Any], task: str) -> list[dict[str, Any]]:
    """The topics or classes, with the text that each is surest of as its example."""
    import numpy as np  # noqa: PLC0415

    sizes = np.bincount(found.group[found.group >= 0], minlength=len(model["names"]))
    confidence = found.confidence
    surest = {
        int(members[np.argmax(confidence[members])]): own
        for own in range(len(sizes))
        if len(members := np.flatnonzero(found.group == own))
    }
    examples = {
        surest[place]: record["text"][:200] for place, record in enumerate(texts(folder)) if place in surest
    }
    return [
        {
            **({"topic": own + 1} if task == "topics" else {"name": name}),
            "words": words,
            "texts": int(sizes[own]),
            "share": round(float(sizes[own] / max(1, sizes.sum())), 4),
            "example": examples.get(own, ""),
        }
        for own, (name, words) in enumerate(zip(model["names"], model["words"], strict=True))
    ]


def label_of(group: dict[str, Any], task: str) -> tuple[str, str]:
    """Two lines for the map."""
    words = " · ".join(group["words"][:3])
    if task == "topics":
        return f"{group['topic']}. {words}", f"{group['texts']:,}"
    return group["name"], f"{group['texts']:,} · {words}"


def rows(folder: Folder, found: Assignment, groups: list[dict[str, Any]], task: str) -> Iterator[Row]:
    """The texts with what was found of each."""
    from .report import Row  # noqa: PLC0415

    confidence = found.confidence
    names = [", ".join(group["words"][:4]) if task == "topics" else group["name"] for group in groups]
    for place, record in enumerate(texts(folder)):
        own = int(found.group[place])
        yield Row(
            record["row"],
            record["id"],
            record["text"],
            record["label"],
            own + 1 if own >= 0 else None,
            names[own] if own >= 0 else None,
            round(float(confidence[place]), 4),
            record["duplicate_of"],
        )

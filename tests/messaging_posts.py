"""What the tests of messaging share: the workflow as a test asks it, and lists of recipients."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chains import ended

from actors.application import Application
from actors.workflow import Workflow
from db.status import ChainSummary

SENDER = "club@example.com"
SUBJECT, TEXT = "Hello {name}", "Dear {name}, the rehearsal is at {hour}."


@dataclass
class Post:
    """The workflow, and what a test asks it to do."""

    application: Application
    workflow: Workflow

    def start(self, messages: Any, **options: Any) -> str:
        """Start a chain with a list, or the path of a file."""
        field = "file_path" if isinstance(messages, (str, Path)) else "messages"
        given = str(messages) if field == "file_path" else messages
        return self.workflow.start({field: given, "options": {"subject": SUBJECT, "text": TEXT, **options}})

    def send(self, messages: Any, **options: Any) -> ChainSummary:
        """The chain once it has ended."""
        return ended(self.application, self.start(messages, **options), 30)

    def report(self, chain_id: str) -> dict[str, Any]:
        """The report that a chain has left."""
        url = self.application.storage.folder(chain_id).url_of("report.json")
        report: dict[str, Any] = self.application.storage.read_json(url)
        return report

    def statuses(self, chain_id: str) -> dict[str, str]:
        """What became of each address."""
        return {row["to"]: row["status"] for row in self.report(chain_id)["rows"]}


def people(*addresses: str) -> list[dict[str, Any]]:
    """A list with these addresses."""
    return [{"to": address, "name": address.partition("@")[0], "hour": 7} for address in addresses]


def many(count: int) -> list[dict[str, Any]]:
    return people(*(f"p{number}@example.com" for number in range(count)))


def as_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)

"""A workflow of one's own, started inside the application that declares it.

WORKFLOWS=examples.inside callboard up                    # in one terminal
python -c "import examples.inside as it; it.main()"       # in another
"""

from __future__ import annotations

import time
from typing import Any

import actors  # noqa: F401 (configures the broker on which the stages are declared)
from callboard import Workflow, progress, stage, status_manager


@stage(name="Count")
def count(data: dict[str, Any]) -> dict[str, Any]:
    words = data["text"].split()
    for done, word in enumerate(words, start=1):
        progress(100 * done / len(words), log=f"counted {word}")
    return {"words": len(words)}


@stage(name="Report")
def report(counted: dict[str, Any]) -> str:
    return f"{counted['words']} words"


word_count = Workflow("word_count", [count, report], title="Counts words")


def main() -> None:
    """Start a chain and watch its stages."""
    chain_id = word_count.start({"text": "every actor looks at the callboard"})
    while True:
        stages = status_manager.get_pipeline_status(chain_id)
        for entry in stages:
            print(entry["stage"], entry["metadata"]["stage_name"], entry["process_status"], entry["progress"])
        if stages[-1]["status"] != "PENDING":
            break
        time.sleep(0.2)
    print(status_manager.find(chain_id).final_result)

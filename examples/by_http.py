"""Start a chain and poll it by HTTP, with ``requests`` alone.

WORKFLOWS=examples.inside callboard up
python examples/by_http.py http://127.0.0.1:8000 [API key]
"""

from __future__ import annotations

import sys
import time
from uuid import uuid4

import requests


def main(server: str, key: str = "") -> None:
    session = requests.Session()
    if key:
        session.headers["X-API-Key"] = key
    answer = session.post(
        f"{server}/pipeline",
        json={"workflow": "word_count", "input": {"text": "all the world's a stage"}},
        headers={"Idempotency-Key": str(uuid4())},
        timeout=10,
    )
    answer.raise_for_status()
    chain_id = answer.json()["data"]["chain_id"]
    while True:
        run = session.get(f"{server}/api/runs/{chain_id}", timeout=10).json()
        print(f"{run['state']} {run['progress']:.0%}", *run["logs"][-1:])
        if run["state"] in ("END", "FAILED"):
            break
        time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Another application starts a chain and follows it: of ours it imports the light client only.

WORKFLOWS=examples.inside callboard up
python examples/from_elsewhere.py redis://127.0.0.1:6379/0
"""

from __future__ import annotations

import sys

from callboard.client import Client


def main(redis_url: str) -> None:
    client = Client(redis_url)
    chain_id = client.start("word_count", {"text": "to be or not to be"}, initiated_by="elsewhere")
    for message in client.follow(chain_id, timeout=30):
        print(f"{message['state']} {message['progress']:.0%} {message.get('log', '')}")
    for entry in client.status(chain_id) or []:
        print(entry["stage"], entry["metadata"]["stage_name"], entry["status"])
    client.close()


if __name__ == "__main__":
    main(sys.argv[1])

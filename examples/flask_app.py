"""A Flask application that enqueues chains and shows them: of ours it imports the light client only.

WORKFLOWS=examples.first callboard up                                    # with REDIS_URL set
REDIS_URL=redis://127.0.0.1:6379/0 flask --app examples.flask_app run
curl -X POST localhost:5000/greetings -H 'Content-Type: application/json' -d '{"names": ["Kim"]}'
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, abort, request, url_for

from callboard.client import Client
from callboard.errors import BoardUnavailable


def create_app(redis_url: str) -> Flask:
    app = Flask(__name__)
    client = Client(redis_url)

    @app.post("/greetings")
    def start() -> tuple[dict[str, str], int, dict[str, str]]:
        # The same key from an impatient user gives the same chain.
        key = request.headers.get("Idempotency-Key")
        chain_id = client.start("greeting", request.get_json(), idempotency_key=key, initiated_by="flask")
        return {"chain_id": chain_id}, 202, {"Location": url_for("show", chain_id=chain_id)}

    @app.get("/greetings/<chain_id>")
    def show(chain_id: str) -> dict[str, Any]:
        stages = client.status(chain_id)
        if stages is None:
            abort(404, "not started yet, or ended more than an hour ago")
        return {"stages": stages, "done": all(stage["status"] == "SUCCESS" for stage in stages)}

    @app.errorhandler(BoardUnavailable)
    def unavailable(error: BoardUnavailable) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 503

    return app


if "REDIS_URL" in os.environ:
    app = create_app(os.environ["REDIS_URL"])

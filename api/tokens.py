"""``POST /api/runs/{run_id}/token``: a short-lived token for a browser's WebSocket or event stream."""

from __future__ import annotations

from falcon.asgi import Request, Response

from . import schemas
from .auth import TOKEN_TTL, Role
from .house import known_id
from .messages import text
from .operations import operation


class RunToken:
    """Makes tokens. They may stand in a URL, as keys may not."""

    @operation(
        f"A token for one run, good for {TOKEN_TTL} seconds, as ?token= of its WebSocket or event stream",
        answers={200: schemas.TOKEN_MADE, 404: schemas.ERROR},
    )
    async def on_post(self, req: Request, resp: Response, run_id: str) -> None:
        """For following that run, whether it has begun or not."""
        token = req.context.access.sign_token(known_id(run_id), Role.READ)
        resp.set_header("Cache-Control", "no-store")
        resp.media = {
            "success": True,
            "data": {"token": token, "expires_in": TOKEN_TTL},
            "message": text(req.context.language, "token_made", seconds=TOKEN_TTL),
        }

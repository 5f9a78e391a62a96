"""``/openapi.json`` and ``/docs``: the document, and Swagger UI over it from our own static files."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response

from .operations import operation

#: Files of Swagger UI (Apache-2.0), as the package ``swagger-ui-py`` brings them.
_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="ko">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Callboard API</title>
<link rel="stylesheet" href="docs/static/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/static/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = (
    'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, '
    "persistAuthorization: false, validatorUrl: null});\n"
)


class OpenApi:
    """The document; made when first asked for."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make
        self._text: bytes | None = None

    @operation("This document", role=None, answers={200: {"type": "object"}})
    async def on_get(self, req: Request, resp: Response) -> None:
        """OpenAPI 3.1."""
        if self._text is None:
            self._text = json.dumps(self._make(), ensure_ascii=False).encode()
        resp.data = self._text


class Page:
    """A text that never changes."""

    def __init__(self, text: str, content_type: str) -> None:
        self._text = text.encode()
        self._content_type = content_type

    @operation("Swagger UI", role=None, answers={200: None}, media="text/html")
    async def on_get(self, req: Request, resp: Response) -> None:
        """The page."""
        resp.content_type = self._content_type
        resp.set_header("Content-Security-Policy", _POLICY)
        resp.data = self._text


class StaticFile:
    """A file of Swagger UI."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @operation("A file of Swagger UI", role=None, answers={200: None, 404: None}, media="text/css")
    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        """One of those that the page needs."""
        if name not in _FILES:
            raise falcon.HTTPNotFound
        resp.content_type = "text/css" if name.endswith(".css") else "text/javascript"
        resp.set_header("Cache-Control", "public, max-age=86400")
        resp.data = (self._folder / name).read_bytes()


def add_docs(app: falcon.asgi.App, make: Callable[[], dict[str, Any]]) -> None:  # type: ignore[type-arg]
    """Serve the document that ``make`` makes, and Swagger UI where it is installed."""
    app.add_route("/openapi.json", OpenApi(make))
    found = find_spec("swagger_ui")
    if found is None or not found.submodule_search_locations:
        return
    app.add_route("/docs", Page(_PAGE, falcon.MEDIA_HTML))
    app.add_route("/docs/start.js", Page(_START, "text/javascript"))
    app.add_route("/docs/static/{name}", StaticFile(Path(found.submodule_search_locations[0]) / "static"))

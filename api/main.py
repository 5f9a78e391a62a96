"""Composition for the server: ``gunicorn -k uvicorn_worker.UvicornWorker api.main:app``."""

from __future__ import annotations

import logging

import actors  # noqa: F401 (declares the workflows)
from actors.application import current

from .app import create_app

logger = logging.getLogger("callboard.api")

_application = current()
if not _application.settings.api_keys:
    logger.warning(
        "API_KEYS is not set: %s",
        "everyone who reaches this server may do everything (ALLOW_OPEN)"
        if _application.settings.allow_open
        else "only this machine is served",
    )
app = create_app(_application)

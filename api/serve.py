"""Settings of gunicorn: ``gunicorn -c python:api.serve api.main:app``.

``gunicorn.conf.py`` hands them on, so that gunicorn finds them by itself in the project's folder.
Without API keys the server binds loopback only, whatever was asked for, unless ``ALLOW_OPEN`` is set.
"""

from __future__ import annotations

from typing import Any

from uvicorn_worker import UvicornWorker

from callboard.settings import Settings

from .auth import is_loopback

#: Seconds that requests in progress have after SIGTERM, then those that gunicorn gives a worker in all.
DRAIN_SECONDS, GRACEFUL_SECONDS = 3, 8

_settings = Settings.from_environment()

bind = [f"{_settings.host}:{_settings.port}"]
worker_class = "uvicorn_worker.UvicornWorker"
graceful_timeout = GRACEFUL_SECONDS
timeout = 60
keepalive = 65
control_socket_disable = True
# A WebSocket takes a few bytes of a client: a ping, a key.
UvicornWorker.CONFIG_KWARGS = {
    **UvicornWorker.CONFIG_KWARGS,
    "timeout_graceful_shutdown": DRAIN_SECONDS,
    "ws_max_size": 1 << 16,
    "server_header": False,
}


def on_starting(server: Any) -> None:
    """Before the sockets are made: say who will be served, and keep strangers out where there are no keys."""
    if _settings.api_keys:
        return
    asked = [str(address) for address in server.cfg.settings["bind"].get()]
    if _settings.allow_open:
        server.log.warning("API_KEYS is not set and ALLOW_OPEN is: everyone who reaches %s is let in", asked)
        return
    kept = [_on_loopback(address) for address in asked]
    server.cfg.set("bind", kept)
    server.address = server.cfg.address
    server.log.warning(
        "API_KEYS is not set: listening on %s only%s",
        ", ".join(kept),
        "" if kept == asked else f" (not on {', '.join(asked)}: set API_KEYS, or ALLOW_OPEN=1)",
    )


def post_worker_init(worker: Any) -> None:
    """Our own log goes where gunicorn's goes."""
    import logging  # noqa: PLC0415 (in the worker alone)

    own = logging.getLogger("callboard")
    own.handlers = worker.log.error_log.handlers
    own.setLevel(logging.INFO)
    own.propagate = False


def _on_loopback(address: str) -> str:
    if address.startswith(("unix:", "fd://")):
        return address
    host, _, port = address.rpartition(":")
    if is_loopback(host):
        return address
    return f"127.0.0.1:{port}"

"""Workflows and what runs them. Importing this package declares all workflows on the configured broker.

``dramatiq actors`` runs a worker. ``WORKFLOWS`` names modules of one's own to import beside what ships.
"""

from __future__ import annotations

from importlib import import_module

from callboard.errors import SettingsError
from callboard.settings import Settings

from . import starter
from .application import configure, current
from .batches import chunks
from .batches.start import start_batch_pipeline

__all__ = ["start_batch_pipeline"]

_settings = Settings.from_environment()
starter.declare(configure(_settings).broker)
chunks.declare(current().broker)

for _name in ("ai_pipeline", "autoshorts", "cr_extract", "excel_handler", "media", "messaging"):
    import_module(f"actors.{_name}")
for _module in _settings.workflows:
    try:
        import_module(_module)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise SettingsError(
            "WORKFLOWS",
            _module,
            f"a module that can be imported ({reason}; python -c 'import {_module}' tries)",
        ) from error

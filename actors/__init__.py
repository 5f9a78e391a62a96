"""Workflows and what runs them. Importing this package declares all workflows on the configured broker.

``dramatiq actors`` runs a worker. ``WORKFLOWS`` names modules of one's own to import beside what ships.
"""

from __future__ import annotations

from importlib import import_module

from callboard.settings import Settings

from .application import configure

_settings = Settings.from_environment()
configure(_settings)

for _module in ("actors.cr_extract", *_settings.workflows):
    import_module(_module)

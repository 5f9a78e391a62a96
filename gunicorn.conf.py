"""Found by gunicorn where it runs: the settings are in api/serve.py."""

from api.serve import *  # noqa: F403

"""The command line, as ``callboard`` and as ``python -m callboard``."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script. Ctrl-C ends it quietly, also while it is still loading."""
    try:
        from .cli import main as command_line  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()

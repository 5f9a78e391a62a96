"""``python -m callboard``: the command line."""

from .cli import main

main()

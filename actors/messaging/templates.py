"""Templates: ``Dear {name}``, with nothing but names in braces; ``{{`` and ``}}`` are braces themselves."""

from __future__ import annotations

import html
from collections.abc import Mapping
from string import Formatter

from callboard.errors import BadInput


class Template:
    """A text with placeholders.

    Parameters:
        field: its name in errors.
        text: the template.
        escape: whether values are escaped for HTML.

    Raises:
        BadInput: a brace is left open, or holds more than a name.
    """

    def __init__(self, field: str, text: str, *, escape: bool = False) -> None:
        self._escape = escape
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise BadInput(f"{field}: {error}; write {{{{ and }}}} for braces themselves") from None
        for _, name, layout, conversion in parts:
            # No attributes, no indices, no formats: a value is put in as it is.
            if name is not None and (not name.isidentifier() or layout or conversion):
                raise BadInput(f"{field}: read {{{name[:80]}}}, expected a name alone, such as {{name}}")
        self._parts = [(literal, name) for literal, name, _, _ in parts]

    def render(self, values: Mapping[str, str]) -> str:
        """The text with the values in it.

        Raises:
            ValueError: names the placeholder that has no value.
        """
        pieces = []
        for literal, name in self._parts:
            pieces.append(literal)
            if name is None:
                continue
            if name not in values:
                raise ValueError(f"has no value for {{{name}}}")
            pieces.append(html.escape(values[name]) if self._escape else values[name])
        return "".join(pieces)

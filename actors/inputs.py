"""The check of a chain's input against what its workflow accepts, where it is used: in the first stage."""

from __future__ import annotations

from typing import Any

import jsonschema
from jsonschema.exceptions import best_match

from callboard.errors import BadInput


def check_input(document: Any, accepts: dict[str, Any]) -> None:
    """Hold an input against a JSON schema.

    Raises:
        BadInput: it does not fit; the place in it is named.
    """
    error = best_match(jsonschema.Draft202012Validator(accepts).iter_errors(document))
    if error is None:
        return
    where = error.json_path.removeprefix("$").removeprefix(".") or "the input"
    if error.validator == "anyOf" and where == "the input":
        needed = [", ".join(choice.get("required", ())) for choice in error.validator_value]
        raise BadInput(f"the input needs {' or '.join(needed)}")
    raise BadInput(f"{where}: {error.message[:300]}")

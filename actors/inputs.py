"""The check of a chain's input where it is used: in the first stage, against what the workflow accepts."""

from __future__ import annotations

from typing import Any

from callboard.errors import BadInput

#: Characters of it that are shown whole.
_SHOWN = 300


def check_input(document: Any, accepts: dict[str, Any]) -> None:
    """Hold an input against a JSON schema.

    Raises:
        BadInput: it does not fit; the place in it is named.
    """
    import jsonschema  # noqa: PLC0415 (slow to load, and only a first stage needs it)
    from jsonschema.exceptions import best_match  # noqa: PLC0415

    error = best_match(jsonschema.Draft202012Validator(accepts).iter_errors(document))
    if error is None:
        return
    where = error.json_path.removeprefix("$").removeprefix(".") or "the input"
    if error.validator == "anyOf" and where == "the input":
        needed = [", ".join(choice.get("required", ())) for choice in error.validator_value]
        raise BadInput(f"the input needs {' or '.join(needed)}")
    raise BadInput(f"{where}: {shortened(error.message)}")


def shortened(message: str) -> str:
    """What a schema says of a value: it begins with what was read, and ends with what was expected."""
    return message if len(message) <= _SHOWN else f"{message[:80]} … {message[-200:]}"


def file_and_options(document: Any) -> tuple[str, dict[str, Any]]:
    """The ``file_path`` and the ``options`` of an input.

    Raises:
        BadInput: there is no path, or the options are no object.
    """
    file_path = document.get("file_path") if isinstance(document, dict) else None
    if not isinstance(file_path, str) or not file_path:
        raise BadInput("the input needs a file_path: a path, or a storage URL")
    return file_path, options_of(document)


def options_of(document: dict[str, Any]) -> dict[str, Any]:
    """The ``options`` of an input; empty where it has none.

    Raises:
        BadInput: they are no object.
    """
    options = document.get("options") or {}
    if not isinstance(options, dict):
        raise BadInput(f"options: read {options!r}, expected an object")
    return options

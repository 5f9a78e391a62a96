"""Which files an input may name: those under the storage and ``INPUT_ROOTS``, whatever way it is written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from .errors import Refusal

#: Fields of an input that hold the place of a file, at any depth.
FIELDS = frozenset({"file_path", "file_paths", "public_file_path", "public_file_paths"})
_LOCAL = ("file", "local")
_ESCAPED = re.compile(r"%(2e|2f|5c|00)", re.IGNORECASE)


class Places:
    """Checks places of files.

    Parameters:
        roots: URLs such as ``file:///data`` and ``s3://bucket/in``, as settings have them.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        self._folders: list[str] = []
        self._urls: list[str] = []
        for root in roots:
            scheme, _, path = root.partition("://")
            if scheme in _LOCAL:
                self._folders.append(path)
            else:
                self._urls.append(root if root.endswith("/") else f"{root}/")

    def check_input(self, data: Any) -> Any:
        """The input with each place in it checked, local ones as real paths. Looks at the file system.

        Raises:
            Refusal: 400, naming the field.
        """
        if isinstance(data, dict):
            return {
                name: self._check_field(name, value) if name in FIELDS else self.check_input(value)
                for name, value in data.items()
            }
        if isinstance(data, list):
            return [self.check_input(item) for item in data]
        return data

    def check_prefix(self, prefix: str, roots: Iterable[str]) -> str:
        """A folder of which all files are wanted: below the places of ours, or one of these roots itself.

        Raises:
            Refusal: 400.
        """
        whole = f"file://{prefix}" if prefix.startswith("/") else prefix
        whole = whole if whole.endswith("/") else f"{whole}/"
        if any(whole == (root if root.endswith("/") else f"{root}/") for root in roots):
            return whole
        return f"{self._check_field('prefix', prefix.rstrip('/'))}/"

    def _check_field(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._check_field(name, item) for item in value]
        if not isinstance(value, str):
            return self.check_input(value)
        reason, place = self._judge(value)
        if reason:
            raise Refusal(400, "place_refused", f"{name}: {value[:200]!r} {reason}")
        return place

    def _judge(self, value: str) -> tuple[str, str]:
        """Why a place is refused ("" when it is not), and the place to hand on."""
        if "\0" in value or "\\" in value or "::" in value or any(ord(letter) < 32 for letter in value):
            return "has characters that no place of ours has", ""
        scheme, separator, rest = value.partition("://")
        if separator and scheme.lower() not in _LOCAL:
            return self._judge_url(value), value
        path = rest if separator else value
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            return "has characters that no place of ours has", ""
        reason = _reason_against(path)
        if reason:
            return reason, ""
        real = os.path.realpath(path)
        for folder in self._folders:
            if real.startswith(os.path.realpath(folder).rstrip("/") + "/"):
                return "", real
        return "is not under the storage or INPUT_ROOTS", ""

    def _judge_url(self, value: str) -> str:
        try:
            parts = urlsplit(value)
        except ValueError:
            return "is no URL"
        if parts.query or parts.fragment or _ESCAPED.search(value):
            return "has more than a plain path"
        if {".", ".."} & set(value.split("/")):
            return "leads upwards"
        if not any(value.startswith(url) and len(value) > len(url) for url in self._urls):
            return "is not under the storage or INPUT_ROOTS; URLs of elsewhere are not fetched"
        return ""


def _reason_against(path: str) -> str:
    if "://" in path:
        return "is a URL inside a URL"
    if path.startswith("//"):
        return "names another machine"
    if not path.startswith("/"):
        return "is no absolute path: give one under the storage or INPUT_ROOTS, or upload the file"
    return "leads upwards" if ".." in path.split("/") else ""

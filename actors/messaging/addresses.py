"""E-mail addresses and header lines: what is let through to a mail server."""

from __future__ import annotations

import re

#: Octets of a mailbox and of the part before the @ (RFC 5321).
LONGEST, LONGEST_LOCAL = 254, 64
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def mailbox(text: str) -> str:
    """The address as a mail server takes it: a domain in other letters becomes its ASCII form.

    Raises:
        ValueError: says what is wrong with it.
    """
    local, at, domain = text.strip(" ").rpartition("@")
    if not at or not local or not domain:
        raise ValueError("is no address such as kim@example.com")
    if not local.isascii():
        raise ValueError("has letters before the @ that few mail servers take; expected ASCII")
    if not _LOCAL.fullmatch(local) or len(local) > LONGEST_LOCAL:
        raise ValueError("has a part before the @ that is not letters, digits, dots and the like")
    try:
        ascii_domain = domain.encode("idna").decode()
    except UnicodeError:
        raise ValueError("has a domain that cannot be one") from None
    if not all(_LABEL.fullmatch(label) for label in ascii_domain.split(".")):
        raise ValueError("has a domain that cannot be one")
    if len(local) + len(ascii_domain) + 1 > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    return f"{local}@{ascii_domain}"


def one_line(text: str) -> str:
    """The text, where it can be a header.

    Raises:
        ValueError: it has a line break or another control character, by which headers could be smuggled in.
    """
    if any(ord(letter) < 32 or ord(letter) == 127 or letter in "\x85\u2028\u2029" for letter in text):
        raise ValueError("has a line break or a control character")
    return text

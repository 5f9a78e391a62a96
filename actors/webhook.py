"""One POST of JSON to a URL of somebody else's: where it may go, how it is signed, what its answer means."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dramatiq.errors import Retry

from callboard import __version__
from callboard.errors import WebhookError, WebhookRefused

#: Seconds that each step of a delivery may take: connection, sending, the answer.
TIMEOUT = 10.0
LONGEST_URL = 2_000
#: Seconds at most that a receiver may ask us to wait (``Retry-After``).
LONGEST_WAIT = 3600
#: Answers below 500 after which another try makes sense.
_LATER = (408, 429)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_url(target: str) -> bool:
    """Whether a callback's target is a URL, not an actor."""
    return "://" in target


def parse(url: str) -> SplitResult:
    """A URL that can be called.

    Raises:
        ValueError: it cannot; the text says why.
    """
    if len(url) > LONGEST_URL:
        raise ValueError(f"a URL of {len(url)} characters, expected up to {LONGEST_URL}")
    if any(ord(letter) <= 32 or ord(letter) >= 127 for letter in url):
        raise ValueError("a URL holds no blanks and only ASCII; write others as %XX")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected a URL such as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL here holds no user and no password")
    if parts.port == 0:
        raise ValueError("port 0 cannot be called")
    return parts


def addresses(parts: SplitResult, *, private: bool) -> list[tuple[str, int]]:
    """Where a URL leads: addresses with their port.

    Parameters:
        private: whether it may lead to this machine, or a network of its own.

    Raises:
        WebhookRefused: it may not, and does.
        WebhookError: the host is not known (now).
    """
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise WebhookError(f"the host {host} is not found: {error}") from None
    places = list(dict.fromkeys((str(address[4][0]), port) for address in found))
    for address, _ in places:
        if not private and not is_public(address):
            raise WebhookRefused(f"{host} is at {address}, an address of this machine or of its own networks")
    return places


def is_public(address: str) -> bool:
    """Whether an address is one of the open Internet."""
    return all(one.is_global and not one.is_multicast for one in _meant(ipaddress.ip_address(address)))


def _meant(address: _Address) -> Iterator[_Address]:
    """The address, and the IPv4 one that an IPv6 one stands for."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        for inner in (address.ipv4_mapped, address.sixtofour):
            if inner is not None:
                yield inner


def signature(secret: str, moment: int, body: bytes) -> str:
    """The value of ``Callboard-Signature``: HMAC-SHA256 of ``"<moment>.<body>"``, with the moment."""
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={signed.hexdigest()}"


def deliver(url: str, payload: dict[str, Any], *, delivery_id: str, secret: str | None, private: bool) -> int:
    """POST the payload, to one of the very addresses that were checked. No redirect is followed.

    Parameters:
        delivery_id: the same at each try.
        secret: signs the body; None leaves it unsigned.
        private: see :func:`addresses`.

    Returns:
        The status of the answer, 200 to 299.

    Raises:
        WebhookRefused: trying again cannot help: the URL, or an answer of 300 to 499 (but 408 and 429).
        WebhookError, Retry: it may: no connection, no answer in time, 408, 429, or 500 and more.
    """
    try:
        parts = parse(url)
    except ValueError as error:
        raise WebhookRefused(str(error)) from None
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"callboard/{__version__}",
        "Idempotency-Key": delivery_id,
        "Callboard-Delivery": delivery_id,
    }
    if secret is not None:
        headers["Callboard-Signature"] = signature(secret, int(time.time()), body)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    if parts.scheme == "https":
        connection.default_port = 443  # of the Host header
    try:
        connection.sock = _connect(parts, private)
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        connection.request("POST", path, body, headers)
        with connection.getresponse() as answer:
            status, wait = answer.status, answer.headers.get("Retry-After")
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise WebhookError(f"{parts.hostname} does not answer: {reason}") from None
    finally:
        connection.close()
    if 200 <= status < 300:
        return status
    text = f"{parts.hostname} answered {status}"
    if status < 500 and status not in _LATER:
        raise WebhookRefused(text)
    if wait is not None and wait.isascii() and wait.isdigit():
        raise Retry(f"{text}, to be asked again after {wait} s", delay=min(int(wait), LONGEST_WAIT) * 1000)
    raise WebhookError(text)


def _connect(parts: SplitResult, private: bool) -> socket.socket:
    """A connection to the first address that takes one."""
    failure: OSError = OSError("no address")
    for place in addresses(parts, private=private):
        try:
            plain = socket.create_connection(place, TIMEOUT)
        except OSError as error:
            failure = error
            continue
        if parts.scheme != "https":
            return plain
        try:
            return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
        except OSError:
            plain.close()
            raise
    raise failure

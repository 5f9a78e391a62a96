"""Who may do what: API keys with roles, short-lived tokens, and origins.

The application's gate puts the process's :class:`Access` on every request, WebSockets included, as
``req.context.access``, and checks each HTTP request before its responder runs. A WebSocket answers for
itself: ``access.authenticate(req)`` for headers and ``?token=``, ``access.role_of_key(text)`` or
``access.read_token(text)`` for a first message, ``access.allows_origin(req)`` for the page it comes from.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from urllib.parse import urlsplit

import falcon

#: Seconds that a token is good for unless its maker says otherwise.
TOKEN_TTL = 60
#: Characters above which a key or token is not even looked at.
LONGEST = 1024


class Role(IntEnum):
    """What a key allows; each role includes those before it."""

    READ = 1
    START = 2
    OPERATE = 3

    @classmethod
    def named(cls, name: str) -> Role:
        """The role called ``read``, ``start`` or ``operate``."""
        return cls[name.upper()]


@dataclass(frozen=True)
class Token:
    """What a token says: its holder may follow this run, in this role, until then (epoch seconds)."""

    run_id: str
    role: Role
    expires: int


def digest(key: str) -> str:
    """The form in which a key is kept and compared."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Access:
    """Decides who a request comes from.

    Parameters:
        keys: (SHA-256 digest of a key, name of its role). Without keys whoever reaches us has every role.
        signing_secret: signs tokens; made from the keys unless given, so that all processes have the same.
        origins: of pages beside our own whose scripts may call us; ``*`` for all.
        allow_open: whether strangers from other machines may come in when there are no keys.
    """

    def __init__(
        self,
        keys: Iterable[tuple[str, str]] = (),
        *,
        signing_secret: str | None = None,
        origins: Sequence[str] = (),
        allow_open: bool = False,
    ) -> None:
        self._keys = [(key.encode(), Role.named(role)) for key, role in keys]
        known = b"".join(sorted(key for key, _ in self._keys))
        secret = signing_secret.encode() if signing_secret else known
        self._secret = hashlib.sha256(b"callboard token\0" + secret).digest()
        self.origins = frozenset(origins)
        self.allow_open = allow_open

    @property
    def open(self) -> bool:
        """Whether there are no keys."""
        return not self._keys

    def authenticate(self, request: falcon.Request, run_id: str | None = None) -> Role | None:
        """The role of a request by its headers, or by the token in its query where it is about a run.

        ``Authorization: Bearer KEY`` and ``X-API-Key: KEY`` are looked at; ``?token=`` only with ``run_id``.
        None: nobody we know.
        """
        if not self._keys:
            return Role.OPERATE
        key = request.get_header("X-API-Key")
        if key is None:
            scheme, _, rest = (request.get_header("Authorization") or "").partition(" ")
            key = rest.strip() if scheme.lower() == "bearer" else None
        if key is not None:
            return self.role_of_key(key)
        if run_id is not None and (text := request.get_param("token")):
            token = self.read_token(text)
            return token.role if token is not None and token.run_id == run_id else None
        return None

    def role_of_key(self, key: str) -> Role | None:
        """The role of a key; it takes the same time for every key. None: an unknown one."""
        if len(key) > LONGEST:
            return None
        own, role = digest(key).encode(), None
        for known, its_role in self._keys:
            if hmac.compare_digest(known, own):
                role = its_role
        return role

    def sign_token(self, run_id: str, role: Role = Role.READ, ttl: int = TOKEN_TTL) -> str:
        """A token for one run, good for ``ttl`` seconds, that may stand in a URL."""
        claims = json.dumps([run_id, int(role), int(time.time()) + ttl], separators=(",", ":"))
        body = _encode(claims.encode())
        return f"{body}.{self._sign(body)}"

    def read_token(self, text: str) -> Token | None:
        """What a token says; None when it is not ours or no longer good."""
        body, _, signature = text.partition(".")
        if len(text) > LONGEST or not hmac.compare_digest(
            self._sign(body).encode(), signature.encode("utf-8", "surrogateescape")
        ):
            return None
        run_id, role, expires = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return Token(run_id, Role(role), expires) if expires > time.time() else None

    def allows_origin(self, request: falcon.Request) -> bool:
        """Whether the page that a browser's request comes from may make it; no page is fine."""
        return self.check_origin(request.get_header("Origin"), request.get_header("Host"))

    def check_origin(self, origin: str | None, host: str | None) -> bool:
        """As :meth:`allows_origin`, by the values of the two headers."""
        if origin is None or "*" in self.origins or origin in self.origins:
            return True
        try:
            own = urlsplit(origin)
        except ValueError:
            return False
        return own.scheme in ("http", "https") and host is not None and own.netloc == host

    def reaches(self, request: falcon.Request) -> bool:
        """Whether a request may come in at all: without keys only those from this machine, by its own name.

        A page of elsewhere that has its name resolved to 127.0.0.1 shows its own name as the host.
        """
        if self._keys or self.allow_open:
            return True
        client = request.scope.get("client")  # type: ignore[attr-defined]
        if client and not is_loopback(client[0]):
            return False
        host = request.get_header("Host")
        return not host or _names_loopback(host)

    def _sign(self, body: str) -> str:
        return _encode(hmac.new(self._secret, body.encode("utf-8", "surrogateescape"), "sha256").digest())


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only be this machine."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@lru_cache(maxsize=256)
def _names_loopback(host: str) -> bool:
    """Whether the value of a Host header, port and all, names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

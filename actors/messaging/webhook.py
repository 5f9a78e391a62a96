"""Delivery by a webhook: each message is posted as JSON, over a connection that is kept."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

from callboard.errors import TransportRefused, TransportUnavailable
from db.deliveries import DEFERRED, FAILED, SENT, UNCERTAIN

from .messages import Message
from .outcomes import REPLY_LENGTH, Outcome

#: Seconds of rest after which a kept connection may have been closed by the other side.
IDLE = 5.0
#: Answers after which another try may help, beside those from 500 on.
_LATER = (408, 425, 429)
#: Answers that say that the address or the token is wrong, not the message.
_MISPLACED = (401, 403, 404, 405, 407)


class WebhookTransport(AbstractContextManager["WebhookTransport"]):
    """Posts ``{"id", "to", "subject", "text", "html"}``; the header Idempotency-Key has the id, too.

    Parameters:
        url: where; redirections are not followed.
        token: sent as a bearer token where given.
        timeout: seconds that one answer may take.
    """

    def __init__(self, url: str, token: str | None, timeout: float) -> None:
        self._url = urlsplit(url)
        self._token = token
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def send(self, message: Message) -> Outcome:
        """Post one message. Any 2xx is an acceptance."""
        connection = self._connected()
        content = {name: getattr(message, name) for name in ("id", "to", "subject", "text", "html")}
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.id}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        try:
            connection.request("POST", target, json.dumps(content, ensure_ascii=False).encode(), headers)
            answer = connection.getresponse()
            words = " ".join(answer.read(10_000).decode("utf-8", "replace").split())
            while answer.read(1 << 16):
                pass
        except (http.client.HTTPException, OSError) as error:
            self.__exit__()
            words = str(error) or type(error).__name__
            return Outcome(UNCERTAIN, f"the connection broke before the answer: {words}"[:REPLY_LENGTH])
        self._used = time.monotonic()
        return self._judge(answer.status, f"{answer.status} {words}"[:REPLY_LENGTH].strip())

    def _judge(self, status: int, reply: str) -> Outcome:
        if 200 <= status < 300:
            return Outcome(SENT, reply)
        if 300 <= status < 400 or status in _MISPLACED:
            raise TransportRefused(f"WEBHOOK_URL or WEBHOOK_TOKEN is wrong: the answer was {reply}")
        return Outcome(DEFERRED if status >= 500 or status in _LATER else FAILED, reply)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and time.monotonic() - self._used > IDLE:
            self.__exit__()
        if self._connection is None:
            host, port = self._url.hostname or "", self._url.port
            connection: http.client.HTTPConnection
            if self._url.scheme == "https":
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
            else:
                connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
            try:
                connection.connect()
            except ssl.SSLCertVerificationError as error:
                raise TransportRefused(
                    f"WEBHOOK_URL shows a certificate that is not trusted ({error.verify_message})"
                ) from None
            except OSError as error:
                raise TransportUnavailable(f"WEBHOOK_URL cannot be reached: {error}") from None
            self._connection = connection
            self._used = time.monotonic()
        return self._connection

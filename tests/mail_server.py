"""A mail server of a test's own, which does to each recipient what the address says."""

from __future__ import annotations

import asyncio
import email.policy
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from servers import free_port


@dataclass
class MailServer:
    """What arrived, and how the server behaves.

    An address that begins with ``refused`` is refused for good (550); ``busy`` is put off (451) as often as
    ``busy_times`` says; ``rejected`` is refused after its content (554); ``drop`` loses the connection once
    its content has arrived, the first time; ``early`` loses it before, the first time; ``slow`` waits for
    the gate.

    Attributes:
        mails: each mail that was accepted, or had arrived when the connection was lost.
        attempts: how often each address was asked for.
        connections: how many were opened.
    """

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    busy_times: int = 1
    answer_to_mail: str = ""
    seconds: float = 0.0
    gate: threading.Event = field(default_factory=threading.Event)
    logins: list[tuple[str, str]] = field(default_factory=list)

    def count(self) -> Counter[str]:
        """How often each address has got its mail."""
        return Counter(str(mail["To"]) for mail in self.mails)

    # -- aiosmtpd's hooks --

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's names)
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.answer_to_mail:
            return self.answer_to_mail
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.attempts[address] += 1
        if address.startswith("refused"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("busy") and self.attempts[address] <= self.busy_times:
            return "451 4.7.1 come back later"
        if address.startswith("early") and self.attempts[address] == 1:
            server.transport.abort()
            return "421 gone"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        (address,) = envelope.rcpt_tos
        if address.startswith("rejected"):
            return "554 5.7.1 this is spam"
        while address.startswith("slow") and not self.gate.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.seconds)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        if address.startswith("drop") and self.attempts[address] == 1:
            server.transport.abort()
        return "250 OK, queued"


@contextmanager
def mail_server(
    *,
    smtps: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[MailServer]:
    """Run one on loopback until the block ends."""
    mailbox = MailServer(port=free_port())

    def authenticate(
        server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        mailbox.logins.append(given)
        return AuthResult(success=given == login, handled=given == login)

    options: dict[str, Any] = {"tls_context": starttls, "require_starttls": starttls is not None}
    if login is not None:
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=mailbox.port, ssl_context=smtps, ready_timeout=20, **options
    )
    controller.start()
    try:
        yield mailbox
    finally:
        mailbox.gate.set()
        controller.stop()

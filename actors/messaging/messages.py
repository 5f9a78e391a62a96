"""One message, ready to be sent, and how it is made from a recipient and the templates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from email import policy
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any
from uuid import UUID, uuid5

from callboard.errors import BadInput

from .addresses import mailbox, one_line
from .options import Options
from .recipients import Recipient
from .templates import Template

_IDS = UUID("d4b6f7de-7f0b-4d47-9c38-0c2f1e5b7a90")
#: Seven bits and CRLF: every mail server takes it, and nothing on the way needs to change it.
_POLICY = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True)
class Message:
    """A rendered message.

    Attributes:
        id: the same for the same recipient of the same chain, however often the stage runs.
        row: of the list, from 1.
        to: address; for the webhook whatever it knows a recipient by.
        subject, text, html: rendered; html may be empty.
        date: epoch seconds at which it was rendered.
    """

    id: str
    row: int
    to: str
    subject: str
    text: str
    html: str
    date: float

    def as_json(self) -> dict[str, Any]:
        """The form in which it lies in the chain's folder."""
        return asdict(self)

    def as_mail(self, sender: str, reply_to: str = "") -> bytes:
        """The mail, headers and all, with a Message-ID by which a receiver knows a repeated one."""
        mail = EmailMessage(policy=_POLICY)
        mail["From"] = sender
        mail["To"] = self.to
        mail["Subject"] = self.subject
        mail["Date"] = formatdate(self.date)
        mail["Message-ID"] = f"<{self.id}@{sender.rpartition('@')[2]}>"
        if reply_to:
            mail["Reply-To"] = reply_to
        # What a machine has sent gets no answer from another machine.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(self.text)
        if self.html:
            mail.add_alternative(self.html, subtype="html")
        return mail.as_bytes()


class Renderer:
    """Makes messages of recipients.

    Raises:
        BadInput: a template of the options, or its Reply-To, cannot be used.
    """

    def __init__(self, chain_id: str, options: Options, moment: float) -> None:
        self._chain_id = chain_id
        self._moment = moment
        self._is_mail = options.transport != "webhook"
        self._templates = {
            name: Template(f"options.{name}", text, escape=name == "html")
            for name in ("subject", "text", "html")
            if (text := getattr(options, name))
        }
        self._seen: dict[str, list[tuple[int, int]]] = {}
        if options.reply_to:
            try:
                mailbox(options.reply_to)
            except ValueError as error:
                raise BadInput(f"options.reply_to: {options.reply_to[:80]!r} {error}") from None

    def render(self, recipient: Recipient) -> Message:
        """The message of one recipient. ``subject``, ``text`` and ``html`` of its own go before the options'.

        Raises:
            ValueError: says why there can be none.
        """
        if recipient.problem:
            raise ValueError(recipient.problem)
        subject, text, html = (self._part(name, recipient) for name in ("subject", "text", "html"))
        try:
            to = mailbox(recipient.to) if self._is_mail else one_line(recipient.to)
        except ValueError as error:
            raise ValueError(f"address {recipient.to[:80]!r} {error}") from None
        try:
            one_line(subject)
        except ValueError as error:
            raise ValueError(f"subject {subject[:80]!r} {error}") from None
        if not text and not html:
            raise ValueError("has neither text nor html")
        if self._is_mail and "\0" in text + html:
            raise ValueError("has a NUL character, which no mail may hold")
        if self._is_mail and not subject:
            raise ValueError("has no subject")
        # Hardly a mail server tells capital letters from small ones, and no domain does.
        before = self._seen.setdefault(to.lower() if self._is_mail else to, [])
        content = hash((subject, text, html))
        for row, known in before:
            if known == content:
                raise ValueError(f"is the same message to the same address as row {row}")
        before.append((recipient.row, content))
        identity = uuid5(_IDS, f"{self._chain_id}/{len(before)}/{to}").hex
        return Message(identity, recipient.row, to, subject, text, html, self._moment)

    def _part(self, name: str, recipient: Recipient) -> str:
        own = recipient.values.get(name)
        if own:
            return own
        template = self._templates.get(name)
        return template.render(recipient.values) if template else ""

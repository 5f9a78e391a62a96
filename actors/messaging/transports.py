"""Ways to deliver a message: a mail server, a webhook, files in the chain's folder.

Where a message goes is a matter of the installation: servers, senders and passwords come from its settings,
never from a chain's input.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from actors.storage import Folder
from callboard.errors import TransportRefused
from callboard.settings import Settings
from db.deliveries import SENT

from .messages import Message
from .options import Options
from .outcomes import Outcome, Transport
from .smtp import SmtpTransport
from .webhook import WebhookTransport


def build_transport(options: Options, settings: Settings, folder: Folder) -> Transport:
    """The transport that the options name. Opens no connection.

    Raises:
        TransportRefused: the settings lack what it needs.
    """
    if options.transport == "file":
        return FileTransport(folder, settings.smtp_from or "callboard@localhost", options.reply_to)
    if options.transport == "webhook":
        if settings.webhook_url is None:
            raise TransportRefused("WEBHOOK_URL is not set where the workers run: nowhere to post to")
        return WebhookTransport(settings.webhook_url, settings.webhook_token, settings.smtp_timeout)
    if settings.smtp_url is None or settings.smtp_from is None:
        raise TransportRefused("SMTP_URL is not set where the workers run: there is no mail server")
    return SmtpTransport(
        settings.smtp_url,
        settings.smtp_from,
        ca_file=settings.smtp_ca_file,
        timeout=settings.smtp_timeout,
        reply_to=options.reply_to,
    )


class FileTransport(AbstractContextManager["FileTransport"]):
    """Writes each mail into the chain's folder, as ``mails/<id>.eml``. A repeated one replaces itself."""

    def __init__(self, folder: Folder, sender: str, reply_to: str) -> None:
        self._folder = folder
        self._sender = sender
        self._reply_to = reply_to

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def send(self, message: Message) -> Outcome:
        """Write the file."""
        url = self._folder.write_bytes(
            f"mails/{message.id}.eml", message.as_mail(self._sender, self._reply_to)
        )
        return Outcome(SENT, url)

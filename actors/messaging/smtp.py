"""Delivery by a mail server, with the standard library."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from callboard.errors import TransportRefused, TransportUnavailable
from db.deliveries import SENT, UNCERTAIN

from .messages import Message
from .outcomes import Outcome, judged

#: Messages that go over one connection; some servers count.
PER_CONNECTION = 100
_PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}
_TOO_LARGE, _CLOSING = 552, 421


class SmtpTransport(AbstractContextManager["SmtpTransport"]):
    """Sends mails one after another over a connection that is kept.

    Parameters:
        url: as ``SMTP_URL`` has it.
        sender: the address that they come from.
        ca_file: certificates to trust beside the system's.
        timeout: seconds that one answer may take.
    """

    def __init__(
        self, url: str, sender: str, *, ca_file: Path | None, timeout: float, reply_to: str = ""
    ) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._ca_file = ca_file
        self._timeout = timeout
        self._reply_to = reply_to
        self._smtp: smtplib.SMTP | None = None
        self._sent = 0

    def __exit__(self, *_: object) -> None:
        if self._smtp is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._smtp.quit()
        self._drop()

    def send(self, message: Message) -> Outcome:
        """Send one mail. What is said of it is by its only recipient."""
        mail = message.as_mail(self._sender, self._reply_to)
        is_kept = self._smtp is not None
        try:
            refused = self._introduce(message.to, mail)
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._drop()
            if not is_kept:
                raise TransportUnavailable(f"the mail server hung up: {_words(error)}") from error
            # A server closes what is idle for long. Nothing has been handed over: once more, afresh.
            return self.send(message)
        if refused is not None:
            return refused
        return self._hand_over(mail)

    def _introduce(self, to: str, mail: bytes) -> Outcome | None:
        """Sender and recipient; what the server says against one of them."""
        smtp = self._connection()
        options = [f"SIZE={len(mail)}"] if smtp.has_extn("size") else []
        code, reply = smtp.mail(self._sender, options)
        if code != 250:
            outcome = self._reset(code, reply)
            if 500 <= code < 600 and code != _TOO_LARGE:
                raise TransportRefused(f"the mail server does not take mail from SMTP_FROM: {outcome.reply}")
            return outcome
        code, reply = smtp.rcpt(to)
        return None if code in (250, 251) else self._reset(code, reply)

    def _hand_over(self, mail: bytes) -> Outcome:
        smtp = self._connection()
        try:
            code, reply = smtp.data(mail)
        except smtplib.SMTPDataError as error:
            return self._reset(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            return Outcome(UNCERTAIN, f"the connection broke before the answer: {_words(error)}")
        if code != 250:
            return self._reset(code, reply)
        self._sent += 1
        if self._sent >= PER_CONNECTION:
            self.__exit__()
        return Outcome(SENT, judged(code, reply).reply)

    def _reset(self, code: int, reply: bytes | str) -> Outcome:
        """The outcome of a negative answer; the connection is ready for the next mail, or dropped."""
        try:
            if code == _CLOSING or self._smtp is None or self._smtp.rset()[0] != 250:
                self._drop()
        except (smtplib.SMTPException, OSError):
            self._drop()
        return judged(code, reply)

    def _connection(self) -> smtplib.SMTP:
        if self._smtp is None:
            self._smtp, self._sent = self._connect(), 0
        return self._smtp

    def _connect(self) -> smtplib.SMTP:
        host, port = self._url.hostname or "", self._url.port or _PORTS[self._url.scheme]
        place = f"the mail server {host}:{port}"
        smtp: smtplib.SMTP | None = None
        try:
            if self._url.scheme == "smtps":
                smtp = smtplib.SMTP_SSL(host, port, timeout=self._timeout, context=self._trust())
            else:
                smtp = smtplib.SMTP(host, port, timeout=self._timeout)
            if self._url.scheme == "smtp+starttls":
                smtp.starttls(context=self._trust())
            smtp.ehlo_or_helo_if_needed()
            if self._url.username is not None:
                smtp.login(unquote(self._url.username), unquote(self._url.password or ""))
        except ssl.SSLCertVerificationError as error:
            _close(smtp)
            raise TransportRefused(
                f"{place} shows a certificate that is not trusted ({error.verify_message}); "
                "SMTP_CA_FILE names others to trust"
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            _close(smtp)
            raise TransportRefused(f"{place} does not offer what SMTP_URL asks for: {error}") from None
        except smtplib.SMTPResponseException as error:
            _close(smtp)
            outcome = judged(error.smtp_code, error.smtp_error)
            if outcome.status == "failed":
                what = "SMTP_URL's login" if isinstance(error, smtplib.SMTPAuthenticationError) else "us"
                raise TransportRefused(f"{place} refuses {what}: {outcome.reply}") from None
            raise TransportUnavailable(f"{place} puts us off: {outcome.reply}") from None
        except OSError as error:  # smtplib's own among them
            _close(smtp)
            if type(error) is smtplib.SMTPException:
                # It has no way to log in that we know.
                raise TransportRefused(f"{place} refuses SMTP_URL's login: {error}") from None
            raise TransportUnavailable(f"{place} cannot be reached: {_words(error)}") from None
        return smtp

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file is not None:
            try:
                context.load_verify_locations(self._ca_file)
            except (ssl.SSLError, OSError) as error:
                raise TransportRefused(
                    f"SMTP_CA_FILE: {self._ca_file} holds no certificates ({error})"
                ) from None
        return context

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        _close(smtp)


def _close(smtp: smtplib.SMTP | None) -> None:
    if smtp is not None:
        with suppress(OSError):
            smtp.close()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__

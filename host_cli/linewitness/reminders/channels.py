"""The two ways to reach people: mail (RFC 6409, STARTTLS unless said otherwise) and a webhook (POST of JSON).

A channel sends or raises CannotDo in one line; it neither decides what is told nor remembers it.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

from linewitness.errors import CannotDo
from linewitness.reminders.messages import Message

TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Mail:
    """security: starttls, tls (from the first octet) or none. authority: PEM of who vouches for the server, None: the
    system's. user and password: None where the server asks for none."""

    host: str
    port: int
    security: str
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    authority: Path | None = None

    @property
    def name(self) -> str:
        return "mail"

    def send(self, message: Message, fleet: str) -> None:
        """Hand the message to the server. Raises CannotDo."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Subject"] = f"[linewitness {fleet}] {message.subject}"
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = make_msgid(domain="linewitness.invalid")
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday note answers it
        mail.set_content(message.body)
        where = f"{self.host}:{self.port}"
        try:
            with self._connect() as server:
                if self.user is not None:
                    server.login(self.user, self.password or "")
                refused = server.send_message(mail)
        except smtplib.SMTPAuthenticationError as e:
            raise CannotDo(f"the mail server refuses user '{self.user}'", where, "the password in secrets.toml") from e
        except ssl.SSLError as e:
            raise CannotDo(f"no TLS with the mail server: {e.reason or e}", where, "reminders: mail_security") from e
        except smtplib.SMTPException as e:
            raise CannotDo(f"the mail server refuses: {_said(e)}", where, "reminders: mail_from, mail_to") from e
        except OSError as e:
            raise CannotDo(f"no mail server: {(e.strerror or str(e)).lower()}", where, "reminders: smtp") from e
        if refused:
            raise CannotDo(f"refused for {', '.join(refused)}", where, "reminders: mail_to")

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=None if self.authority is None else str(self.authority))
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        if self.security == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server


@dataclass(frozen=True, slots=True)
class Webhook:
    """token: sent as `Authorization: Bearer`, None for none."""

    url: str
    token: str | None = None

    @property
    def name(self) -> str:
        return "webhook"

    def send(self, message: Message, fleet: str) -> None:
        """POST the message as JSON: fleet, and the fields of Message. Raises CannotDo unless the answer is 2xx."""
        body = json.dumps({"fleet": fleet, **asdict(message)}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "linewitness"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        opener = urllib.request.build_opener(_Stay())
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1)
        except urllib.error.HTTPError as e:
            raise CannotDo(f"the webhook answered {e.code}", _public(self.url), "reminders: webhook") from e
        except (urllib.error.URLError, TimeoutError, ConnectionError) as e:
            reason = getattr(e, "reason", e)
            raise CannotDo(f"the webhook can't be reached: {reason}", _public(self.url), "reminders: webhook") from e


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for one address only."""

    def redirect_request(self, *arguments: object) -> None:
        return None


Channel = Mail | Webhook


def _public(url: str) -> str:
    """Return the address without its path, which often is the secret of a chat's webhook."""
    return "/".join(url.split("/", 3)[:3])


def _said(e: smtplib.SMTPException) -> str:
    said = getattr(e, "smtp_error", None)
    if said is None and isinstance(e, smtplib.SMTPRecipientsRefused):
        return "the recipients " + ", ".join(e.recipients)
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(e)

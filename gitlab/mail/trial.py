"""A mail that is sent at once, for an administrator to see what the mail server says of it."""

from __future__ import annotations

import smtplib
from typing import Any, NamedTuple

from django.conf import settings
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend

from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden

_SUBJECT = "A test of Berth's mail"
_TEXT = """\
This is what you asked for on the page "Mail" of the admin area.

Whoever gets this knows that mail of Berth arrives.
"""


class Answer(NamedTuple):
    """What became of it, in the mail server's own words as far as it said any."""

    is_sent: bool
    said: str


def send(address: str, *, by: Person) -> Answer:
    """Send a mail to `address`, within the time-outs of the settings.

    Raises `Forbidden`; `Conflict` where mail is off.
    """
    if not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    if not settings.MAIL_ENABLED:
        raise Conflict({"__all__": "Mail is off: the setting is gitlab_rails.smtp_enable."})
    message = mail.EmailMessage(
        _SUBJECT, _TEXT, to=[address], headers={"Auto-Submitted": "auto-generated"}
    )
    connection = mail.get_connection()
    try:
        connection.open()
        if isinstance(connection, EmailBackend) and connection.connection is not None:
            return _over(connection.connection, message, address)
        message.connection = connection
        message.send()
    except smtplib.SMTPResponseException as error:
        return Answer(False, _said(error.smtp_code, error.smtp_error))
    except smtplib.SMTPException as error:
        return Answer(False, f"{type(error).__name__}: {error}"[:500])
    except OSError as error:
        # The address and the port stand on the page; what a driver adds is the reason alone.
        return Answer(False, f"Nobody answers: {error}"[:500])
    finally:
        _close(connection)
    return Answer(True, "It went to this node's own mail backend.")


def _over(line: smtplib.SMTP, message: mail.EmailMessage, address: str) -> Answer:
    """Step by step, since ``sendmail`` keeps the server's last word to itself (RFC 5321)."""
    sender = mail.message.sanitize_address(message.from_email, "utf-8")
    line.ehlo_or_helo_if_needed()
    for code, said in (line.mail(_bare(sender)), line.rcpt(address)):
        if code not in (250, 251):
            line.rset()
            return Answer(False, _said(code, said))
    text: Any = message.message()
    code, said = line.data(text.as_bytes(linesep="\r\n"))
    return Answer(code == 250, _said(code, said))


def _bare(sender: str) -> str:
    """The address alone, of one with a name before it."""
    return sender.rpartition("<")[2].removesuffix(">")


def _said(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}"[:500]


def _close(connection: object) -> None:
    try:
        connection.close()  # type: ignore[attr-defined]
    except OSError:
        return

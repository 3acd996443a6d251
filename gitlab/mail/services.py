"""Mail to people: written down in the transaction that it tells of, sent by a job.

    queue() ──► waiting ──► sent
                  │  ▲
                  └──┘ the mail server does not answer: later, at last failed

A step may run twice. Only a crash between the mail server's answer and the row makes it come twice,
with the same ``Message-ID``, by which mail programs know it again. Where mail is off nothing is
written down: what people have to know stands on their pages too.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import smtplib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from gitlab.jobs import crash_points, enqueue
from gitlab.jobs.due import MOST_ATTEMPTS, DueRows
from gitlab.mail import presentation
from gitlab.mail.models import Message
from gitlab.principals import Person

log = logging.getLogger(__name__)

TASK = "workers.tasks.send_mail"
AT_ONCE = 50
"""Messages that a run sends. What is left comes with the next."""

_KEPT = dt.timedelta(days=30)
_SWEPT = 1000
_ROWS = DueRows(Message.objects.all)
_REFUSED = (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError)
"""What a mail server says of one mail. Whatever else goes wrong goes wrong for all."""


def is_on() -> bool:
    """Whether mail is sent at all."""
    return bool(settings.MAIL_ENABLED)


def queue(to: Person, subject: str, text: str) -> Message | None:
    """Have a mail sent to somebody. None where mail is off, or where nobody reads theirs: a bot's,
    a blocked account's.
    """
    if not is_on() or to.is_bot or not to.is_active:
        return None
    return _add(subject, text, user_id=to.pk)


def queue_to(email: str, subject: str, text: str) -> Message | None:
    """Have a mail sent to an address that need be nobody's. None where mail is off.

    Its text is forgotten once it is sent: it may hold a link that lets in whoever has it.
    """
    return _add(subject, text, email=email) if is_on() else None


def _add(subject: str, text: str, **to: Any) -> Message:
    row = Message.objects.create(subject=_one_line(subject), text=text, **to)
    enqueue.on_commit(TASK)
    return row


def _one_line(subject: str) -> str:
    """A header field has no line breaks."""
    return " ".join(subject.split())[:255]


def send_due() -> int:
    """Send what is due, at most `AT_ONCE`, and remove what was done a month ago; how many went."""
    if not is_on():
        return 0
    sent = 0
    with _connection() as connection:
        for pk in _ROWS.ids(AT_ONCE):
            message = _ROWS.take(pk, "user")
            if message is None:
                continue
            try:
                sent += _send(message, connection)
            except OSError as error:  # Every fault of a mail server is one.
                _failed(message, error)
                break
    old = Message.objects.filter(done_at__lt=timezone.now() - _KEPT).order_by("done_at")
    gone = list(old.values_list("pk", flat=True)[:_SWEPT])
    Message.objects.filter(pk__in=gone).delete()
    return sent


@contextlib.contextmanager
def _connection() -> Iterator[BaseEmailBackend]:
    """A line to the mail server, opened by the first message and closed at the end."""
    connection = mail.get_connection()
    try:
        yield connection
    finally:
        with contextlib.suppress(OSError):
            connection.close()


def _send(message: Message, connection: BaseEmailBackend) -> bool:
    """Whether it went. Raises `OSError` where the mail server is in trouble."""
    if not message.recipient:
        _done(message, Message.Status.FAILED, "the account gets no mail")
        return False
    try:
        connection.open()
        _as_mail(message, connection).send()
    except _REFUSED as error:
        _failed(message, error)
        return False
    except ValueError as error:  # What no header field can hold, BadHeaderError is one.
        _done(message, Message.Status.FAILED, str(error))
        return False
    crash_points.reached("mail_sent")
    _done(message, Message.Status.SENT)
    return True


def _as_mail(message: Message, connection: BaseEmailBackend) -> mail.EmailMultiAlternatives:
    """The text, and the same as HTML (RFC 2046, section 5.1.4)."""
    sender = settings.DEFAULT_FROM_EMAIL
    host = sender.rpartition("@")[2].rstrip(">")
    made = mail.EmailMultiAlternatives(
        message.subject,
        message.text,
        to=[message.recipient],
        connection=connection,
        headers={
            "Message-ID": f"<berth-{message.pk}-{message.created_at.timestamp():.0f}@{host}>",
            # RFC 3834: nobody's holiday answers this.
            "Auto-Submitted": "auto-generated",
        },
    )
    made.attach_alternative(presentation.html_of(message.subject, message.text), "text/html")
    return made


def _failed(message: Message, error: Exception) -> None:
    """Later again, or no more. What the server said of an address stays in the row."""
    reason = f"{type(error).__name__}: {error}"[:255]
    if message.attempts >= MOST_ATTEMPTS:
        _done(message, Message.Status.FAILED, reason)
        log.warning("mail %s was given up after %s attempts", message.pk, message.attempts)
        return
    _ROWS.later(message, dt.timedelta(minutes=2**message.attempts), failure_reason=reason)
    log.warning("mail %s was not sent: %s", message.pk, type(error).__name__)


def _done(message: Message, status: str, reason: str = "") -> None:
    text = "" if message.email else message.text
    _ROWS.end(message, status, done_at=timezone.now(), failure_reason=reason[:255], text=text)

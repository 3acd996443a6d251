"""Mail into the log, for who has no mail server: Django's way of sending, and nobody gets it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

log = logging.getLogger("gitlab.mail.log")


class EmailBackend(BaseEmailBackend):
    """Writes each mail into the log, with its links: whoever reads the log can follow them."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """How many were written."""
        for message in email_messages:
            log.info("mail to %s: %s\n%s", ", ".join(message.to), message.subject, message.body)
        return len(email_messages)

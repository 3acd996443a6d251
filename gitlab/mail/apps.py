"""The Django app of mail."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    """Mail to people, until it has been sent."""

    name = "gitlab.mail"
    label = "mail"
    verbose_name = "Mail"

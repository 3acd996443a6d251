"""The Django app of announcements."""

from django.apps import AppConfig


class BroadcastMessagesConfig(AppConfig):
    """What administrators have everybody read above every page."""

    name = "gitlab.broadcast_messages"
    label = "broadcast_messages"
    verbose_name = "Broadcast messages"

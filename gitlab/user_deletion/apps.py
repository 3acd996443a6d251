"""The Django app of deleting people."""

from django.apps import AppConfig


class UserDeletionConfig(AppConfig):
    """People who are being deleted with what they own."""

    name = "gitlab.user_deletion"
    label = "user_deletion"
    verbose_name = "Deletion of people"

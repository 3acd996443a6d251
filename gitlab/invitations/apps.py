"""The Django app of invitations."""

from django.apps import AppConfig


class InvitationsConfig(AppConfig):
    """People who are asked by mail to belong to a group or project."""

    name = "gitlab.invitations"
    label = "invitations"
    verbose_name = "Invitations"

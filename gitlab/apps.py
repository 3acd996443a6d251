"""The Django app of the project itself: commands that concern the whole installation."""

from django.apps import AppConfig


class GitLabConfig(AppConfig):
    """Holds ``prepare``, ``serve`` and ``show_config``; no models."""

    name = "gitlab"
    label = "gitlab"

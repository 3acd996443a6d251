"""The Django app of what happened lately."""

from django.apps import AppConfig


class ActivityConfig(AppConfig):
    """Home, favourites, and the activity of projects and groups."""

    name = "gitlab.activity"
    label = "activity"
    verbose_name = "Activity"

"""The app of search."""

from django.apps import AppConfig


class SearchConfig(AppConfig):
    """One field for everything that has a name."""

    name = "gitlab.search"

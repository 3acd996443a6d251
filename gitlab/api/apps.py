"""The Django app of the API."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """GitLab's REST API v4 and its description."""

    name = "gitlab.api"
    label = "api"
    verbose_name = "API"

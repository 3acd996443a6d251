"""The Django app of the administrators' console."""

from django.apps import AppConfig


class AdminAreaConfig(AppConfig):
    """Names the console; each package registers its own models in its ``admin.py``."""

    name = "gitlab.admin_area"
    label = "admin_area"
    verbose_name = "Admin area"

    def ready(self) -> None:
        """Give Django's admin site its titles."""
        from django.contrib import admin

        admin.site.site_title = "Berth"
        admin.site.site_header = "Admin area"
        admin.site.index_title = "Overview"

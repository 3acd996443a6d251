"""The Django app of the administrators' console, and Django's own admin with our site in it."""

from django.apps import AppConfig
from django.contrib.admin import apps as django_admin


class AdminAreaConfig(AppConfig):
    """The console's templates and site; each package registers its models in its ``admin.py``."""

    name = "gitlab.admin_area"
    label = "admin_area"
    verbose_name = "Admin area"
    default = True


class ConsoleConfig(django_admin.AdminConfig):
    """``django.contrib.admin``, with `gitlab.admin_area.site.Console` as its site."""

    default_site = "gitlab.admin_area.site.Console"
    default = False

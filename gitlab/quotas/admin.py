"""Quotas in the console, to be looked at. They are set on the Storage pages, which end tokens."""

from __future__ import annotations

from django.contrib import admin

from gitlab.quotas.models import Quota
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(Quota)
class QuotaAdmin(ReadOnlyAdmin):
    """The quotas of all projects and namespaces."""

    list_display = ["owner", "max_bytes", "max_images", "set_by_admin", "updated_at"]
    search_fields = ["project__full_path", "namespace__full_path"]
    list_filter = ["set_by_admin"]
    list_select_related = ["project", "namespace"]

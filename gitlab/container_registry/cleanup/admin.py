"""Cleanups in the console: whose policies there are, and where their runs stand."""

from __future__ import annotations

from django.contrib import admin

from gitlab.container_registry.cleanup.models import CleanupPolicy, CleanupRun
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(CleanupPolicy)
class CleanupPolicyAdmin(ReadOnlyAdmin):
    """Every policy, and when it runs next."""

    list_display = ["__str__", "enabled", "cadence", "requires_approval", "next_run_at"]
    list_filter = ["enabled", "cadence", "requires_approval"]
    list_select_related = ["project", "namespace"]
    search_fields = ["project__full_path", "namespace__full_path"]


@admin.register(CleanupRun)
class CleanupRunAdmin(ReadOnlyAdmin):
    """Every cleanup, planned, under way and over."""

    list_display = [
        "project",
        "status",
        "by_policy",
        "requested_at",
        "going_count",
        "done_count",
        "deleted_count",
        "spared_count",
        "failures",
        "failure_reason",
    ]
    list_filter = ["status", "by_policy"]
    list_select_related = ["project"]
    search_fields = ["project__full_path"]
    exclude = ["rules"]

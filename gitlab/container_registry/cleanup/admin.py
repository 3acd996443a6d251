"""Cleanups in the console: whose policies there are, and where their runs stand."""

from __future__ import annotations

from contextlib import suppress

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from gitlab.container_registry.cleanup import requests
from gitlab.container_registry.cleanup.models import CleanupPolicy, CleanupRun
from gitlab.refusals import Conflict
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
    actions = ["cancel"]

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whoever administers."""
        return bool(request.user.is_superuser)

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, rows: QuerySet[CleanupRun]) -> None:
        """End those chosen that are not over."""
        count = 0
        for run in rows.select_related("project__namespace"):
            with suppress(Conflict):
                requests.cancel(request.user, run)  # type: ignore[arg-type]
                count += 1
        self.message_user(request, f"{count} cleanup(s) cancelled.")

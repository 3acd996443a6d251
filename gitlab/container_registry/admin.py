"""Deletions of tags in the console. Images have a page of their own there."""

from __future__ import annotations

from django.contrib import admin

from gitlab.container_registry.models import BulkTagDeletion
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(BulkTagDeletion)
class BulkTagDeletionAdmin(ReadOnlyAdmin):
    """Where deletions of tags by criteria stand."""

    list_display = [
        "repository",
        "by",
        "status",
        "requested_at",
        "deleted_count",
        "refused_count",
        "failure_reason",
    ]
    list_filter = ["status"]
    list_select_related = ["repository", "by"]

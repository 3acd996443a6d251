"""Images in the console, above all the deletions that have failed."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from gitlab.container_registry import deletion
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.ui.console import ReadOnlyAdmin

_SHOWN = (
    "path",
    "project",
    "status",
    "status_changed_at",
    "deleted_by",
    "failed_deletion_count",
    "failure_reason",
    "next_attempt_at",
    "started_at",
    "created_at",
    "last_published_at",
)


@admin.register(ContainerRepository)
class ContainerRepositoryAdmin(ReadOnlyAdmin):
    """Where every image stands."""

    list_display = [
        "path",
        "status",
        "failed_deletion_count",
        "next_attempt_at",
        "failure_reason",
    ]
    fields = _SHOWN
    readonly_fields = _SHOWN
    list_filter = ["status"]
    search_fields = ["path"]
    list_select_related = ["project"]
    actions = ["try_deletion_again"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whoever administers."""
        return bool(request.user.is_superuser)

    @admin.action(description="Try the deletion again", permissions=["retry"])
    def try_deletion_again(self, request: HttpRequest, rows: QuerySet[ContainerRepository]) -> None:
        """Queue those that have failed once more."""
        count = deletion.retry(request.user, rows)  # type: ignore[arg-type]
        self.message_user(request, f"{count} deletion(s) queued again.")


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

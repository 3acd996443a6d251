"""What happened, in the console: to read."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from gitlab.audit.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin):
    """The events, the newest first."""

    list_display = ["at", "actor_name", "action", "target_path", "address"]
    list_filter = ["action", "at"]
    search_fields = ["actor_name", "target_path", "action"]
    # Counting every event for the pager would cost more than the page.
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """No: events happen."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        """No."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        """No."""
        return False

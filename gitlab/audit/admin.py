"""What happened, in the console: to read."""

from __future__ import annotations

from django.contrib import admin

from gitlab.audit.models import AuditEvent
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """The events, the newest first."""

    list_display = ["at", "actor_name", "action", "target_path", "address"]
    list_filter = ["action", "at"]
    search_fields = ["actor_name", "target_path", "action"]
    # Counting every event for the pager would cost more than the page.
    show_full_result_count = False

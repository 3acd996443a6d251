"""Members in the console. Groups, projects and people have pages of their own there: see
`gitlab.admin_area.views`.
"""

from __future__ import annotations

from django.contrib import admin

from gitlab.namespaces.models import Member
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(Member)
class MemberAdmin(ReadOnlyAdmin):
    """Who belongs where; the members' page changes it, which keeps the last owner of a group."""

    list_display = ["user", "namespace", "project", "access_level", "expires_at", "created_at"]
    list_filter = ["access_level"]
    search_fields = ["user__username", "namespace__full_path", "project__full_path"]
    list_select_related = ["user", "namespace", "project"]

"""Groups and members in the console. Paths are shown, not edited: routes follow them.

Projects and people have pages of their own there: see `gitlab.admin_area.views`.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from gitlab.namespaces import services
from gitlab.namespaces.models import Member, Namespace
from gitlab.ui.console import ReadOnlyAdmin, ServiceAdmin, ServiceForm


class GroupForm(ServiceForm):
    """What may be changed of a group."""

    instance: Namespace

    def perform(self, given: dict[str, Any]) -> Namespace:
        """Change what differs."""
        return services.update_group(self.by, self.instance, **given)


@admin.register(Namespace)
class NamespaceAdmin(ServiceAdmin):
    """Groups and personal namespaces. A personal one is named as its owner is."""

    form = GroupForm
    list_display = ["full_path", "kind", "name", "visibility", "created_at", "pending_delete_at"]
    list_filter = ["kind", "visibility"]
    search_fields = ["full_path", "name"]
    fields = [
        "full_path",
        "kind",
        "name",
        "description",
        "visibility",
        "parent",
        "owner",
        "created_at",
        "pending_delete_at",
    ]
    readonly_fields = [
        "full_path",
        "kind",
        "visibility",
        "parent",
        "owner",
        "created_at",
        "pending_delete_at",
    ]
    list_select_related = ["parent", "owner"]

    def has_change_permission(self, request: HttpRequest, obj: Namespace | None = None) -> bool:
        """A group's, while it is not being deleted."""
        if obj is not None and not (obj.is_group and obj.pending_delete_at is None):
            return False
        return super().has_change_permission(request, obj)


@admin.register(Member)
class MemberAdmin(ReadOnlyAdmin):
    """Who belongs where; the members' page changes it, which keeps the last owner of a group."""

    list_display = ["user", "namespace", "project", "access_level", "expires_at", "created_at"]
    list_filter = ["access_level"]
    search_fields = ["user__username", "namespace__full_path", "project__full_path"]
    list_select_related = ["user", "namespace", "project"]

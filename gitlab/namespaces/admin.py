"""Groups, projects and members in the console. Paths are shown, not edited: routes follow them."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from gitlab.namespaces.models import Member, Namespace, Project


class _NoAddNoDelete:
    """Rows come and go by the services, which keep routes, owners and images in step."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """No."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """No."""
        return False


@admin.register(Namespace)
class NamespaceAdmin(_NoAddNoDelete, admin.ModelAdmin):
    """Groups and personal namespaces."""

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


@admin.register(Project)
class ProjectAdmin(_NoAddNoDelete, admin.ModelAdmin):
    """Projects."""

    list_display = ["full_path", "visibility", "registry_access", "created_at", "pending_delete_at"]
    list_filter = ["visibility", "registry_access"]
    search_fields = ["full_path", "name"]
    fields = [
        "full_path",
        "name",
        "description",
        "visibility",
        "registry_access",
        "namespace",
        "creator",
        "created_at",
        "pending_delete_at",
    ]
    readonly_fields = [
        "full_path",
        "visibility",
        "namespace",
        "creator",
        "created_at",
        "pending_delete_at",
    ]


@admin.register(Member)
class MemberAdmin(_NoAddNoDelete, admin.ModelAdmin):
    """Who belongs where."""

    list_display = ["user", "namespace", "project", "access_level", "expires_at", "created_at"]
    list_filter = ["access_level"]
    search_fields = ["user__username", "namespace__full_path", "project__full_path"]
    list_select_related = ["user", "namespace", "project"]

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """No: the members' page keeps the last owner of a group."""
        return False

"""Tokens in the console: without their digest, to look at and to revoke."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from gitlab.access_tokens import deploy_tokens, job_tokens, services
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken, Runner
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(PersonalAccessToken)
class PersonalAccessTokenAdmin(ReadOnlyAdmin):
    """Everybody's personal access tokens."""

    list_display = ["name", "user", "scopes", "expires_at", "last_used_at", "revoked_at"]
    search_fields = ["name", "user__username"]
    list_filter = ["revoked_at", "expires_at"]
    list_select_related = ["user"]
    exclude = ["digest"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever administers."""
        return bool(request.user.is_superuser)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, rows: QuerySet[PersonalAccessToken]) -> None:
        """Refuse those chosen from now on."""
        for token in rows.select_related("user"):
            services.revoke(request.user, token)  # type: ignore[arg-type]


@admin.register(DeployToken)
class DeployTokenAdmin(ReadOnlyAdmin):
    """The deploy tokens of all projects and groups."""

    list_display = ["name", "owner", "username", "scopes", "expires_at", "last_used_at"]
    search_fields = ["name", "chosen_username", "project__full_path", "namespace__full_path"]
    list_filter = ["revoked_at", "expires_at"]
    list_select_related = ["project", "namespace"]
    exclude = ["digest"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever administers."""
        return bool(request.user.is_superuser)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, rows: QuerySet[DeployToken]) -> None:
        """Refuse those chosen from now on."""
        for token in rows.select_related("project__namespace", "namespace"):
            deploy_tokens.revoke(request.user, token)  # type: ignore[arg-type]


@admin.register(Runner)
class RunnerAdmin(ReadOnlyAdmin):
    """The runners of all projects."""

    list_display = ["name", "project", "created_by", "last_used_at", "revoked_at"]
    search_fields = ["name", "project__full_path"]
    list_filter = ["revoked_at"]
    list_select_related = ["project", "created_by"]
    exclude = ["digest", "scopes"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever administers."""
        return bool(request.user.is_superuser)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Runner]) -> None:
        """Refuse those chosen from now on, and end their jobs."""
        for runner in rows.select_related("project__namespace"):
            job_tokens.revoke_runner(request.user, runner)  # type: ignore[arg-type]

"""Identities in the console: to look at, and to unlink."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from gitlab.accounts.models import User
from gitlab.identity_providers import services
from gitlab.identity_providers.models import Identity
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin):
    """Who is whom for which provider."""

    list_display = ["user", "provider", "subject", "made_user", "made_admin", "seen_at"]
    search_fields = ["user__username", "subject"]
    list_filter = ["provider", "made_user"]
    list_select_related = ["user"]
    actions = ["unlink"]

    def has_unlink_permission(self, request: HttpRequest) -> bool:
        """Whoever administers."""
        return bool(request.user.is_superuser)

    @admin.action(description="Unlink", permissions=["unlink"])
    def unlink(self, request: HttpRequest, rows: QuerySet[Identity]) -> None:
        """Let the subjects be nobody here any more; the accounts stay."""
        assert isinstance(request.user, User)
        for identity in rows.select_related("user"):
            services.unlink(identity, by=request.user)

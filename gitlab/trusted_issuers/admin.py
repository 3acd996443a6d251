"""Trusted issuers in the console: to look at and to revoke."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from gitlab.trusted_issuers import services
from gitlab.trusted_issuers.models import TrustedIssuer
from gitlab.ui.console import ReadOnlyAdmin


@admin.register(TrustedIssuer)
class TrustedIssuerAdmin(ReadOnlyAdmin):
    """The trusts of all projects and groups."""

    list_display = ["name", "owner", "issuer", "actions", "expires_at", "last_used_at"]
    search_fields = ["name", "issuer", "project__full_path", "namespace__full_path"]
    list_filter = ["revoked_at", "expires_at"]
    list_select_related = ["project", "namespace"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever administers."""
        return bool(request.user.is_superuser)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, rows: QuerySet[TrustedIssuer]) -> None:
        """Trust those chosen no longer."""
        for trust in rows.select_related("project__namespace", "namespace"):
            services.revoke(request.user, trust)  # type: ignore[arg-type]

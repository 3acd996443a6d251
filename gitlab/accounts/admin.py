"""People in the console, by the services, which know the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from gitlab.accounts import login_waits, services, sessions
from gitlab.accounts.factors import services as factors
from gitlab.accounts.models import User
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.refusals import Invalid
from gitlab.ui.console import ServiceAdmin, ServiceForm


class NewUserForm(ServiceForm):
    """What a new person needs."""

    password = forms.CharField(widget=forms.PasswordInput, strip=False)

    class Meta:
        model = User
        fields = ["username", "email", "name", "is_superuser", "external"]

    def perform(self, given: dict[str, Any]) -> User:
        """Create the person."""
        return services.create_user(**given, by=self.by)


class UserForm(ServiceForm):
    """What may be changed of somebody."""

    instance: User

    def perform(self, given: dict[str, Any]) -> User:
        """Change what differs, each by its own rule."""
        stored = User.objects.get(pk=self.instance.pk)
        return services.administer(stored, by=self.by, **given)


@admin.register(User)
class UserAdmin(ServiceAdmin):
    """Find people, block and unblock them."""

    form = UserForm
    list_display = ["username", "name", "email", "state", "is_superuser", "external", "last_login"]
    list_filter = ["state", "is_superuser", "external"]
    search_fields = ["username", "email", "name"]
    fields = [
        "username",
        "email",
        "name",
        "is_superuser",
        "external",
        "state",
        "created_at",
        "last_login",
        "blocked_at",
        "factors",
        "waits",
        "removal",
    ]
    readonly_fields = [
        "username",
        "state",
        "created_at",
        "last_login",
        "blocked_at",
        "factors",
        "waits",
        "removal",
    ]
    actions = [
        "approve",
        "reject",
        "block",
        "unblock",
        "lift_failed_logins",
        "remove_factors",
        "end_sessions",
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """For whoever may open the console at all."""
        return self.has_change_permission(request)

    def get_form(
        self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form for a new person, or for one that exists."""
        if obj is None:
            return type(NewUserForm.__name__, (NewUserForm,), {"by": request.user})
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:  # type: ignore[override]
        """What the page shows."""
        if obj is None:
            return [*NewUserForm.Meta.fields, "password"]
        return self.fields  # type: ignore[return-value]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Everything may be typed for a new person."""
        return [] if obj is None else self.readonly_fields

    @admin.display(description="Two factors")
    def factors(self, user: User) -> str:
        """What they have set up."""
        found = [factors.KINDS[row.type] for row in factors.of(user)]
        return ", ".join(found) or "none"

    @admin.display(description="Has to wait after failed logins")
    def waits(self, user: User) -> str:
        """Where, and until when."""
        found = user.login_waits.filter(until__gt=timezone.now())[: login_waits.MOST]
        return (
            ", ".join(
                f"at {row.address or 'an unknown address'} until {row.until:%H:%M} UTC"
                for row in found
            )
            or "no"
        )

    @admin.display(description="Deletion")
    def removal(self, user: User) -> str:
        """The page that deletes them with what they own."""
        url = reverse("user_deletion:ask", args=[user.pk])
        return format_html('<a href="{}">Delete {}…</a>', url, user.username)

    @admin.action(description="Approve who has registered")
    def approve(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Let those chosen in who wait for it."""
        self._each(request, rows, sign_ups.approve)

    @admin.action(description="Reject who has registered")
    def reject(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Delete those chosen who wait to be let in."""
        self._each(request, rows, sign_ups.reject)

    def _each(self, request: HttpRequest, rows: QuerySet[User], rule: Callable[..., Any]) -> None:
        """Ask a rule for each of those chosen, and show what it refuses."""
        for user in rows:
            try:
                rule(user, by=request.user)
            except Invalid as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)

    @admin.action(description="Lift the wait after failed logins")
    def lift_failed_logins(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Let those chosen begin anew."""
        for user in rows:
            login_waits.lift(user, by=request.user)  # type: ignore[arg-type]

    @admin.action(description="Take all factors away")
    def remove_factors(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """For those who have lost the device and the codes."""
        for user in rows:
            factors.remove_all(user, by=request.user)  # type: ignore[arg-type]

    @admin.action(description="End all sessions")
    def end_sessions(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Sign those chosen out everywhere."""
        for user in rows:
            sessions.end_all(user, by=request.user)  # type: ignore[arg-type]

    @admin.action(description="Block")
    def block(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Lock out those chosen."""
        self._each(request, rows, services.block)

    @admin.action(description="Unblock")
    def unblock(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Let those chosen in again."""
        for user in rows:
            services.unblock(user, by=request.user)  # type: ignore[arg-type]

"""People in the console. Creating and deleting is done by the services, which know the rules."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from gitlab.accounts import services
from gitlab.accounts.models import User
from gitlab.refusals import Invalid


class NewUserForm(forms.ModelForm):
    """What a new person needs."""

    password = forms.CharField(widget=forms.PasswordInput, strip=False)

    class Meta:
        model = User
        fields = ["username", "email", "name", "is_superuser", "external"]

    def clean(self) -> dict[str, object]:
        """Create the person, inside the request's transaction; its refusals are the form's."""
        cleaned: dict[str, object] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.instance = services.create_user(**self.cleaned_data)
            except Invalid as error:
                self.add_error(None, error)
        return cleaned

    def _post_clean(self) -> None:
        """Nothing: the service has validated and stored it."""

    def save(self, commit: bool = True) -> User:
        """The person, stored already."""
        return self.instance

    def save_m2m(self) -> None:
        """Nothing: a new person is in no group."""


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    """Find people, block and unblock them."""

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
    ]
    readonly_fields = ["username", "state", "created_at", "last_login", "blocked_at"]
    actions = ["block", "unblock"]

    def get_form(self, request, obj=None, change=False, **kwargs):
        """The form for a new person, or Django's for one that exists."""
        if obj is None:
            return NewUserForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:  # type: ignore[override]
        """What the page shows."""
        if obj is None:
            return [*NewUserForm.Meta.fields, "password"]
        return self.fields  # type: ignore[return-value]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Everything may be typed for a new person."""
        return [] if obj is None else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: User, form: object, change: bool) -> None:
        """A new person was stored by the form."""
        if change:
            obj.save()

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """No: people are blocked, since their images and their history stay."""
        return False

    @admin.action(description="Block")
    def block(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Lock out those chosen."""
        for user in rows:
            try:
                services.block(user, by=request.user)  # type: ignore[arg-type]
            except Invalid as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)

    @admin.action(description="Unblock")
    def unblock(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """Let those chosen in again."""
        for user in rows:
            services.unblock(user, by=request.user)  # type: ignore[arg-type]

"""What every list of the administrators' console is made of: rows are changed by services, or not
at all.

Django's admin would write a row past the rules and past the record. Here a form hands what was
typed to a service, inside the transaction of the request, and shows what the service refuses at its
field.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import Http404, HttpRequest

from gitlab.principals import Person
from gitlab.ui import form_errors


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows to look at: they come, change and go elsewhere."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """No."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """No."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """No."""
        return False


class ServiceForm(forms.ModelForm):
    """A form whose rows a service writes. Subclasses say how, in `perform`."""

    by: ClassVar[Person]
    """The administrator: set by `ServiceAdmin` for each request."""

    def perform(self, given: dict[str, Any]) -> models.Model:
        """Call the service with what was typed; the row as it is now. Raises its refusals."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """What was typed, once the service has taken it; its refusals are the form's."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return given
        try:
            self.instance = self.perform(given)
        except ValidationError as error:
            form_errors.show(self, error)
        except (PermissionDenied, Http404) as error:
            self.add_error(None, str(error))
        return given

    def _post_clean(self) -> None:
        """Nothing: the service has validated and written."""

    def save(self, commit: bool = True) -> Any:
        """The row, which is written already."""
        return self.instance

    def save_m2m(self) -> None:
        """Nothing: no form of ours has such a field."""


class ServiceAdmin(ReadOnlyAdmin):
    """Rows that `form` changes through a service. Adding and deleting stay off."""

    form: type[ServiceForm]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For whoever may open the console at all."""
        return bool(request.user.is_active and request.user.is_superuser)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Django's form of the fields, made from ours, acting as this administrator."""
        made = super().get_form(request, obj, change=change, **kwargs)
        return type(made.__name__, (made,), {"by": request.user})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Nothing: the form's service has written it."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Refused, however one gets here."""
        raise PermissionDenied("Rows are deleted by what knows their rules.")

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Refused, however one gets here."""
        raise PermissionDenied("Rows are deleted by what knows their rules.")

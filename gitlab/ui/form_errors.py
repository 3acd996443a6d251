"""Showing a service's refusal in the form that caused it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.forms import BaseForm


def show(form: BaseForm, error: ValidationError) -> None:
    """Each message at its field; what names no field of the form stands above it."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, errors in error.error_dict.items():
        form.add_error(name if name in form.fields else None, errors)

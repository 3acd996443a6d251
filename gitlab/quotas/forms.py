"""What people choose for a quota."""

from __future__ import annotations

from typing import Any

from django import forms

from gitlab.quotas.models import Quota
from gitlab.quotas.services import MAX_BYTES, MAX_IMAGES

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


class QuotaForm(forms.Form):
    """A limit in bytes, written with a unit, and one in images; empty is no limit."""

    size = forms.DecimalField(
        label="Storage",
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=3,
        help_text="Empty: no limit of its own.",
    )
    unit = forms.ChoiceField(label="Unit", choices=[(unit, unit) for unit in _UNITS], initial="GB")
    max_images = forms.IntegerField(
        label="Images",
        required=False,
        min_value=0,
        max_value=MAX_IMAGES,
        help_text="Empty: no limit of its own.",
    )

    @staticmethod
    def initial_of(quota: Quota | None) -> dict[str, Any]:
        """What the form shows of a quota that is there."""
        if quota is None:
            return {}
        shown: dict[str, Any] = {"max_images": quota.max_images}
        if quota.max_bytes is not None:
            fitting = [unit for unit, size in _UNITS.items() if quota.max_bytes >= size]
            shown["unit"] = fitting[-1] if fitting else "MB"
            # Without the zeros that a division leaves.
            shown["size"] = f"{quota.max_bytes / _UNITS[shown['unit']]:.3f}".rstrip("0").rstrip(".")
        return shown

    def clean(self) -> dict[str, Any]:
        """`max_bytes` and `max_images`, as the service takes them."""
        chosen = dict(super().clean() or {})
        size, unit = chosen.pop("size", None), chosen.pop("unit", "GB")
        chosen["max_bytes"] = None if size is None else int(size * _UNITS.get(unit, 1))
        if chosen["max_bytes"] is not None and chosen["max_bytes"] > MAX_BYTES:
            self.add_error("size", "At most 1,000,000 TB.")
        return chosen

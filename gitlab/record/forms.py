"""The filter above a list of events."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from gitlab.audit.queries import Filter


def _text(label: str, **more: Any) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=255, **more)


class FilterForm(forms.Form):
    """What is looked for. What can't be read is no filter, and says so."""

    actor = _text("Who", help_text="A name, as it stands below")
    action = _text("Action", help_text="tag.delete, or tag. for all of its kind")
    target = _text("To what", help_text="A path, with all below it")
    address = _text("Address", help_text="203.0.113.7")
    credential = _text("Credential", help_text="access_token:12")
    request_id = _text("Request", help_text="As the log's lines have it")
    since = forms.DateField(
        label="From",
        required=False,
        help_text="UTC",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    until = forms.DateField(
        label="To", required=False, help_text="UTC", widget=forms.DateInput(attrs={"type": "date"})
    )

    @property
    def filter(self) -> Filter:
        """As the rules take it: days are UTC, the last one included."""
        given = dict(self.cleaned_data) if self.is_valid() else {}
        since, until = given.pop("since", None), given.pop("until", None)
        texts = {name: value.strip() for name, value in given.items() if value}
        return Filter(
            **texts,
            after=_begin(since) if since else None,
            before=_begin(until + dt.timedelta(days=1)) if until else None,
        )

    @property
    def is_used(self) -> bool:
        """Whether anything is looked for."""
        return self.is_valid() and any(self.cleaned_data.values())


def _begin(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)

"""Form widgets that Django has not: choices that explain themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.forms import CheckboxSelectMultiple, RadioSelect


@dataclass(frozen=True)
class About:
    """What stands with a choice. `unless` says why it can't be chosen; empty where it can."""

    text: str
    icon: str = ""
    unless: str = ""


class _Explained:
    """Adds an `About` to each option of a widget that is mixed with this."""

    about: Mapping[str, About]

    def __init__(self, about: Mapping[str, About] | None = None, **kwargs: Any) -> None:
        self.about = about or {}
        super().__init__(**kwargs)

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Django's option with `about`, disabled where it can't be chosen."""
        option: dict[str, Any] = super().create_option(  # type: ignore[misc]
            name, value, *args, **kwargs
        )
        about = self.about.get(str(value))
        option["about"] = about
        if about and about.unless:
            option["attrs"]["disabled"] = True
        return option


class ExplainedRadios(_Explained, RadioSelect):
    """One of several, each a card with a sentence: `ExplainedRadios({"private": About(…)})`."""

    template_name = "ui/widgets/explained.html"


class ExplainedCheckboxes(_Explained, CheckboxSelectMultiple):
    """Some of several, each a card with a sentence."""

    template_name = "ui/widgets/explained.html"

"""What the pages of images take in: names of tags, a part of a tag's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django import forms
from django.http import QueryDict

from gitlab.container_registry.tags import MAX_TAGS_AT_ONCE, is_name


class TagsForm:
    """Chosen tags, from the address or a table's checkboxes. No Django form: nobody types them.

    `names` has each once, in the order given; `why` says what is wrong with them, "" if nothing.
    """

    def __init__(self, given: QueryDict | Mapping[str, Sequence[str]]) -> None:
        values = given.getlist("selected") if isinstance(given, QueryDict) else given["selected"]
        self.names = list(dict.fromkeys(values))
        back = given.get("back", "") if isinstance(given, QueryDict) else ""
        self.back = QueryDict(str(back)[:1000])
        self.why = self._fault()

    def _fault(self) -> str:
        if not self.names:
            return "Choose the tags first."
        if len(self.names) > MAX_TAGS_AT_ONCE:
            return f"Choose at most {MAX_TAGS_AT_ONCE} tags at once."
        if not all(is_name(name) for name in self.names):
            return "That is no name of a tag."
        return ""

    def is_valid(self) -> bool:
        """Whether these are names that tags may have, and not too many."""
        return not self.why


class IntervalForm(forms.Form):
    """A part of a tag's history, by the registry's id."""

    interval = forms.IntegerField(min_value=1, max_value=2**63 - 1)

"""The pieces of an address. They take nearly anything: refusing has a form of its own here."""

from __future__ import annotations

from django.urls import register_converter


class NameConverter:
    """A repository's name, with slashes; checked by the view, which answers NAME_INVALID."""

    regex = r"(?:.|\n)+"

    def to_python(self, value: str) -> str:
        """The text as it is."""
        return value

    def to_url(self, value: str) -> str:
        """The text as it is."""
        return value


class ReferenceConverter(NameConverter):
    """A tag or a digest, without slashes; checked by the view."""

    regex = r"[^/]+"


register_converter(NameConverter, "name")
register_converter(ReferenceConverter, "reference")

"""How a full path stands in an address: ``/acme/tools/web``, in any case, without a last slash."""

from __future__ import annotations

from django.urls import register_converter

_SEGMENT = "[A-Za-z0-9][A-Za-z0-9._-]*"


class FullPathConverter:
    """``<full_path:path>``: segments that begin with a letter or a digit, so never ``-``."""

    regex = f"{_SEGMENT}(?:/{_SEGMENT})*"

    def to_python(self, value: str) -> str:
        """As it is kept: in lower case."""
        return value.lower()

    def to_url(self, value: str) -> str:
        """As it is."""
        return str(value)


class SegmentConverter(FullPathConverter):
    """``<segment:username>``: one segment of a path, as a user name is."""

    regex = _SEGMENT


register_converter(FullPathConverter, "full_path")
register_converter(SegmentConverter, "segment")

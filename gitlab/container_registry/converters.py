"""How a tag stands in an address. Source: OCI distribution specification 1.1, "Pulling
manifests".
"""

from __future__ import annotations

from django.urls import register_converter


class TagConverter:
    """``<image_tag:tag>``"""

    regex = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"

    def to_python(self, value: str) -> str:
        """As it is: tags have capitals."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return str(value)


register_converter(TagConverter, "image_tag")

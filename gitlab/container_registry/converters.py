"""How a tag and a digest stand in an address. Source: OCI distribution specification 1.1, "Pulling
manifests"; OCI image specification 1.1, "Registered Algorithms".
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


class DigestConverter(TagConverter):
    """``<digest:digest>``"""

    regex = "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"


register_converter(TagConverter, "image_tag")
register_converter(DigestConverter, "digest")

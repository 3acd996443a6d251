"""Requests as Django's handler makes them, of whatever a client has sent."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIRequest


class LegibleRequest(WSGIRequest):
    """Django's, which fails before anybody could answer where a parameter of ``Content-Type`` is
    encoded (RFC 8187) and can't be decoded. Here such a request has no type.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except ValueError:
            self.content_type, self.content_params = "", {}

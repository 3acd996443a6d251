"""How values stand in the shared cache: as JSON, which nobody can make run anything."""

from __future__ import annotations

import json
from typing import Any


class JSONSerializer:
    """For ``OPTIONS["serializer"]`` of Django's cache in Redis, whose own form is a pickle."""

    def dumps(self, value: Any) -> bytes:
        """The value as it is written. Raises `TypeError` for what JSON has no word for."""
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        """The value; None for what is no JSON, as if nothing were there."""
        try:
            return json.loads(data)
        except ValueError:
            return None

"""Which cases can't hold yet, and where the catalogue is not followed. Each by id, with the
reason.
"""

from __future__ import annotations

from typing import Any

EXPECTED_TO_FAIL: dict[str, str] = {
    "AUTH-012": "there are no deploy tokens yet",
    "DEL-007": "tags can't be protected yet",
    "MAN-047": "tags can't be protected yet",
}
"""Strict: a case that begins to pass has to be taken out of here."""

OTHERWISE: dict[str, tuple[str, dict[str, Any]]] = {}
"""Cases where something else is right: the reason, and what replaces parts of ``expect``."""

"""How often something waits for PostgreSQL, once the server knows each of its statements."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.db.backends.utils import CursorWrapper

from gitlab.server.databases.postgresql import base
from gitlab.server.databases.postgresql.known_statements import KnownStatements


class RoundTrips:
    """Counts them from now on, of all databases."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ways: list[str] = []
        for owner, name in (
            (KnownStatements, "_run"),
            (base.DatabaseWrapper, "_execute"),
            (CursorWrapper, "execute"),
        ):
            monkeypatch.setattr(owner, name, self._noting(getattr(owner, name), name))

    def _noting(self, real: Any, name: str) -> Any:
        def noting(asked: Any, *given: Any, **more: Any) -> Any:
            self._ways.append(name)
            return real(asked, *given, **more)

        return noting

    def begin(self) -> None:
        """Count from here, and let no plan be made anew before the end."""
        for alias in connections:
            if connections[alias].connection is not None:
                connections[alias].connection.planned_until = float("inf")
        self._ways.clear()

    @property
    def count(self) -> int:
        """How many there were. Fails where a cursor was asked: that takes one for each."""
        assert set(self._ways) == {"_run"}
        return len(self._ways)

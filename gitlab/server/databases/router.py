"""Which side's database a model lives in. The two share no table and no foreign key."""

from __future__ import annotations

from typing import Any

REGISTRY = "registry"
"""The app label of the registry's models, and the alias of their database."""


class SideRouter:
    """The registry's models in the registry's database, everything else in GitLab's."""

    def _database(self, app_label: str) -> str:
        return REGISTRY if app_label == REGISTRY else "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        """The database to read `model` from."""
        return self._database(model._meta.app_label)

    def db_for_write(self, model: Any, **hints: Any) -> str:
        """The database to write `model` to."""
        return self._database(model._meta.app_label)

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        """Whether two rows may refer to each other: on the same side only."""
        return self._database(one._meta.app_label) == self._database(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Whether the tables of `app_label` belong into `db`."""
        return db == self._database(app_label)

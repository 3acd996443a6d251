"""A text column that sorts by bytes on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class ByteOrderedCharField(_CharField):
    """A `CharField` ordered byte by byte, as the specification wants lists to be.

    PostgreSQL's default collation follows a language (``B`` before ``a`` or after it, dashes
    skipped), which would also keep a page's ``last`` from using the index. SQLite compares bytes.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        """The column's parameters, with PostgreSQL's collation ``C``."""
        parameters: dict[str, Any] = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters

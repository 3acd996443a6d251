"""The rows that migrations have made, which a test that commits would take along.

Django empties all tables after such a test (`TransactionTestCase`), those of the migrations too:
whatever ran later in the same database would find it as it is in no installation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections, models, router
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.test import TransactionTestCase

Rows = dict[str, list[models.Model]]


def read() -> Rows:
    """By test database: what is in it now, which is what its migrations have put there."""
    return {
        alias: [row for model in _models(alias) for row in model._base_manager.using(alias)]
        for alias in connections
        if _is_made(alias)
    }


@contextmanager
def restored(rows: Rows) -> Iterator[None]:
    """Have `rows` again whenever a test has emptied their tables, as they were."""
    empty: Any = TransactionTestCase._fixture_teardown

    def empty_but_for_rows(case: Any) -> None:
        empty(case)
        for alias in case._databases_names(include_mirrors=False):
            restore(rows.get(alias, []), alias)

    TransactionTestCase._fixture_teardown = empty_but_for_rows  # type: ignore[method-assign]
    try:
        yield
    finally:
        TransactionTestCase._fixture_teardown = empty  # type: ignore[method-assign]


def restore(rows: list[models.Model], alias: str) -> None:
    """Write those whose tables are empty. What Django itself makes anew has other ids by now."""
    gone = {
        model
        for model in {type(row) for row in rows}
        if not model._base_manager.using(alias).exists()
    }
    for row in rows:
        if type(row) in gone:
            # As it is: without the default of a column, or the time now.
            row.save_base(raw=True, using=alias, force_insert=True)


def _is_made(alias: str) -> bool:
    """Whether there is a test database: pytest-django makes those that the run's tests ask for."""
    return Path(str(connections[alias].settings_dict["NAME"])).name.startswith(TEST_DATABASE_PREFIX)


def _models(alias: str) -> list[type[models.Model]]:
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and router.allow_migrate_model(alias, model)
    ]

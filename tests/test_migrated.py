"""A test that commits leaves the rows of migrations as they were."""

from __future__ import annotations

from typing import ClassVar

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.test import TransactionTestCase

from registry.models import Counting, Repository
from tests import migrated


class Committing(TransactionTestCase):
    """As pytest-django makes one of each test that commits."""

    databases: ClassVar[set[str]] = {"registry"}

    def runTest(self) -> None:  # noqa: N802
        """Commit: to a table of the migrations, and to another."""
        Counting.objects.all().delete()
        Repository.objects.create(name="acme/app")


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_they_are_there_again() -> None:
    before = list(Counting.objects.values())
    assert [row["name"] for row in before] == ["pulls"]
    Committing()._fixture_teardown()
    assert list(Counting.objects.values()) == before
    Committing().runTest()
    Committing()._fixture_teardown()
    assert list(Counting.objects.values()) == before
    assert not Repository.objects.exists()


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_without_it_they_would_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(migrated, "restore", lambda rows, alias: None)
        Committing()._fixture_teardown()
        assert not Counting.objects.exists()


@pytest.mark.django_db(databases=["default", "registry"])
def test_nothing_of_django_is_there_twice() -> None:
    """It makes the content types anew by itself."""
    from django.contrib.contenttypes.models import ContentType

    before = set(ContentType.objects.values_list("app_label", "model"))
    assert before
    migrated.restore(migrated.read()["default"], "default")
    assert set(ContentType.objects.values_list("app_label", "model")) == before


@pytest.mark.django_db(databases=["default", "registry"])
@pytest.mark.parametrize("alias", ["default", "registry"])
def test_a_copy_has_had_every_migration(alias: str) -> None:
    """Whichever worker runs this: one has migrated, the others have copies."""
    executor = MigrationExecutor(connections[alias])
    leaves = executor.loader.graph.leaf_nodes()
    own = [leaf for leaf in leaves if (leaf[0] == "registry") == (alias == "registry")]
    assert own
    assert executor.migration_plan(own) == []

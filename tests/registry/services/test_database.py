"""The connection that a thread keeps: a lost one is noticed, one in a transaction is left alone."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connections

from registry.services import database

pytestmark = [
    pytest.mark.django_db(databases=["registry"], transaction=True),
    pytest.mark.postgresql,
]


def kill_backend() -> None:
    """End the server's side of this thread's connection, from another connection."""
    pid = connections[database.ALIAS].connection.info.backend_pid
    other = connections.create_connection(database.ALIAS)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        other.close()


def test_a_read_can_be_tried_again() -> None:
    assert database.one("SELECT 1", []) == (1,)
    kill_backend()
    with pytest.raises(OperationalError):
        database.one("SELECT 1", [])
    assert database.close_if_lost()
    assert database.one("SELECT 1", []) == (1,)


def test_a_query_that_fails_alone_loses_nothing() -> None:
    database.one("SELECT 1", [])
    with pytest.raises(OperationalError, match="cancel"):
        database.one("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)", [])
    assert not database.close_if_lost()


def test_before_a_write_the_connection_is_tried() -> None:
    database.one("SELECT 1", [])
    kill_backend()
    database.check_connection()
    with database.atomic():
        assert database.one("SELECT 1", []) == (1,)


def test_in_a_transaction_nothing_is_opened_again() -> None:
    with database.atomic():
        database.one("SELECT 1", [])
        assert not database.close_if_lost()

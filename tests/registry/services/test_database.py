"""The connection that a thread keeps: a lost one is noticed, one in a transaction is left alone."""

from __future__ import annotations

import io
import time

import pytest
from django.db import OperationalError, connections

from registry.services import database
from registry.v2 import shortcut
from tests.registry import images
from tests.registry.base import APP, Person

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
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
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


def test_in_a_transaction_nothing_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with database.atomic():
        database.one("SELECT 1", [])
        connection = connections[database.ALIAS]
        connection.close_at = time.monotonic()
        with monkeypatch.context() as patched:
            patched.setitem(connection.settings_dict, "CONN_MAX_AGE", 600)
            database.close_if_old()
        assert not database.close_if_lost()


def backend() -> int:
    (found,) = database.one("SELECT pg_backend_pid()", []) or (0,)
    return int(found)


MANIFEST = f"/v2/{APP}/manifests/v1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/"),
        ("HEAD", MANIFEST),
        ("GET", MANIFEST),
        ("PUT", MANIFEST),
        ("POST", f"/v2/{APP}/blobs/uploads/"),
    ],
)
def test_none_is_kept_for_longer_than_the_settings_let(
    bob: Person, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by what Django's handler never sees."""
    monkeypatch.setitem(connections[database.ALIAS].settings_dict, "CONN_MAX_AGE", 600)
    connections[database.ALIAS].close()
    image = images.push_image(APP, "v1")
    environ = bob.send(
        method, path, image.payload if method == "PUT" else b"", content_type=image.media_type
    ).wsgi_request.META
    for is_old in (False, True):
        before = backend()
        assert connections[database.ALIAS].close_at > time.monotonic() + 60
        if is_old:
            connections[database.ALIAS].close_at = time.monotonic()
        environ["wsgi.input"] = io.BytesIO(image.payload)
        asked = shortcut.question(environ)
        assert asked is not None
        assert shortcut.answers([asked])[0] is not None
        assert (backend() != before) == is_old

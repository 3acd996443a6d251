"""Repositories that are opened while others close or rename them: nobody waits in a ring."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError, connections

from registry import digest as digests
from registry.actor import Actor
from registry.errors import Code
from registry.models import Repository
from registry.quotas import Quota, Quotas
from registry.services import blobs, database, pushing, renaming, repositories, uploads, usage
from tests.registry import images
from tests.registry.base import APP
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import only_refusals
from tests.registry.services.test_database import kill_backend

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(databases=["registry"], transaction=True),
]

SOURCE, SHARED = "acme/source", b"shared"
COUNTED = replace(ALICE, quotas=Quotas((Quota("acme"),)))
NOBODY = Actor("")

Push = Callable[[str, Actor], Any]


def whole_blob(name: str, actor: Actor) -> Any:
    body = images.content()
    return uploads.store_whole(name, digests.of(body), [body], actor)


def committed_blob(name: str, actor: Actor) -> Any:
    return images.push_blob(name, images.content(), actor)


def manifest(name: str, actor: Actor) -> Any:
    kind = "application/vnd.oci.image.index.v1+json"
    payload = images.encoded({"schemaVersion": 2, "mediaType": kind, "manifests": []})
    return pushing.push(name, "v2", payload, kind, actor)


def mount(name: str, actor: Actor) -> Any:
    return blobs.mount(name, digests.of(SHARED), SOURCE, actor)


def wait_for_waiting(count: int) -> None:
    """Until so many connections to this database wait for a lock."""
    sql = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
    end = time.monotonic() + 30
    with contextlib.closing(connections.create_connection(database.ALIAS)) as other:
        while True:
            with other.cursor() as cursor:
                cursor.execute(sql)
                (found,) = cursor.fetchone()
            if found >= count:
                return
            assert time.monotonic() < end, f"{count} do not wait"
            time.sleep(0.01)


@pytest.fixture(params=[ALICE, COUNTED], ids=["alone", "counted"])
def actor(request: pytest.FixtureRequest) -> Actor:
    """Somebody whose pushes are counted, or not."""
    found: Actor = request.param
    return found


@pytest.mark.parametrize("push", [whole_blob, manifest, mount])
def test_who_waited_for_a_repository_that_is_closed_by_now(
    push: Push, actor: Actor, at_once: Callable[..., list[Any]]
) -> None:
    """The server leaves the row with who waited for it, though it is not what was asked for any
    more; and a rename, which lets nobody open a name, waits for the row too.
    """
    images.push_blob(SOURCE, SHARED, actor)
    images.push_image(APP, "v1")
    is_held, is_waited_for = threading.Event(), threading.Event()

    def close() -> None:
        with database.atomic():
            repositories.close(APP, ALICE)
            is_held.set()
            wait_for_waiting(1)
            is_waited_for.set()
            wait_for_waiting(2)

    def then_push() -> Any:
        assert is_held.wait(30)
        return push(APP, actor)

    def then_rename() -> Any:
        assert is_waited_for.wait(30)
        return renaming.rename(APP, "acme/new", NOBODY)

    closed, pushed, renamed = at_once(close, then_push, then_rename)
    only_refusals([closed, pushed, renamed])
    assert not isinstance(pushed, BaseException), "it opened the name again"
    # Whoever was first: the rename found what was closed, or what was opened since.
    if isinstance(renamed, BaseException):
        assert Repository.objects.filter(name=APP, closed_at=None).exists()


@pytest.mark.parametrize("push", [whole_blob, committed_blob, manifest, mount])
def test_who_opens_a_name_while_a_rename_lets_nobody(
    push: Push, actor: Actor, at_once: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what is used is counted, a rename keeps those away who add to it after those who open
    a name.
    """
    images.push_blob(SOURCE, SHARED, actor)
    images.push_image(APP, "v1")
    is_renaming, doubt = threading.Event(), usage.doubt

    def doubt_late(*names: str) -> None:
        is_renaming.set()
        wait_for_waiting(1)
        doubt(*names)

    monkeypatch.setattr(usage, "doubt", doubt_late)

    def then_push() -> Any:
        assert is_renaming.wait(30)
        return push("acme/opened", actor)

    renamed, pushed = at_once(lambda: renaming.rename(APP, "acme/new", NOBODY), then_push)
    assert renamed == ["acme/new"]
    assert not isinstance(pushed, BaseException), pushed
    assert Repository.objects.filter(name="acme/opened", closed_at=None).exists()


def test_within_another_transaction_nobody_opens_a_name() -> None:
    """What it holds could not be given up."""
    with database.atomic(), pytest.raises(AssertionError), database.atomic():
        repositories.hold_or_open(APP, ALICE)
    assert not Repository.objects.exists()


def test_a_connection_that_is_lost_before_it_begins_again_is_djangos_error() -> None:
    """So it is a 503, and nobody's fault."""

    def begin_again() -> None:
        with database.atomic():
            database.one("SELECT 1", [])
            kill_backend()
            database.begin_again_to_hold_openings()

    with pytest.raises(OperationalError):
        begin_again()
    assert database.one("SELECT 1", []) == (1,)


def test_a_refusal_lets_the_server_forget_nothing() -> None:
    """What was prepared would be prepared anew, statement by statement."""
    for _ in range(3):
        assert repositories.find_id(APP) is None
    connection = connections[database.ALIAS].connection
    known = dict(connection.known._names)
    with pytest.raises(Exception, match="not known") as refused, database.atomic():
        repositories.hold(APP)
    assert refused.value.code is Code.NAME_UNKNOWN
    assert known.items() <= connection.known._names.items()

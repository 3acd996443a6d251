"""The parts of uploads: what each costs, what becomes of them, and that an upgrade keeps them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry import digest as digests
from registry.models import UploadPart, UploadSession
from registry.services import blobs, upload_expiry, uploads
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import ALICE
from tests.registry.uploading import start

pytestmark = pytest.mark.django_db(databases=["registry"])


def cost_of_a_piece(bob: Person, location: str) -> tuple[int, int]:
    """How many statements a PATCH takes, and their bytes, with those of what they answer."""
    with CaptureQueriesContext(connections["registry"]) as captured:
        assert bob.send("PATCH", location, b"x" * 100).status_code == 202
    return len(captured), sum(len(query["sql"]) for query in captured.captured_queries)


def test_a_piece_costs_what_the_first_did(bob: Person) -> None:
    """However many have come before: a layer of a gigabyte comes in 16,384 of 64 KiB."""
    location = start(bob)
    count, length = cost_of_a_piece(bob, location)
    for _ in range(60):
        bob.send("PATCH", location, b"x" * 100)
    later_count, later_length = cost_of_a_piece(bob, location)
    assert later_count == count
    # The offset has more digits by now.
    assert later_length - length < 40
    # Nor is what was there before read: a session's row has no list.
    row = UploadSession.objects.values().get()
    assert len(str(row)) < 1000


@pytest.mark.parametrize("end", ["commit", "cancel", "expire"])
def test_parts_end_with_their_session(end: str, clock: Any) -> None:
    session = uploads.start(APP, ALICE)
    other = uploads.start(APP, ALICE)
    for one in (session, other):
        uploads.append(one, [b"hello"], 0)
        uploads.append(one, [b" world"], 5)
    assert UploadPart.objects.count() == 4
    if end == "commit":
        uploads.commit(session, digests.of(b"hello world"), [], None)
    elif end == "cancel":
        uploads.cancel(session)
    else:
        UploadSession.objects.filter(pk=session.pk).update(
            expires_at=timezone.now() - dt.timedelta(seconds=1)
        )
        assert upload_expiry.purge_expired(10) == 1
    left = UploadPart.objects.order_by("offset").values_list("session_id", "offset", "size")
    assert list(left) == [(other.pk, 0, 5), (other.pk, 5, 6)]


def test_a_commit_takes_the_parts_that_it_knows_of() -> None:
    """A piece that comes while it reads is not in it; the claim then fails."""
    session = uploads.start(APP, ALICE)
    uploads.append(session, [b"hello"], 0)
    other = uploads.find(APP, images.as_told(session), ALICE)
    uploads.append(other, [b" world"], 5)
    assert [part.size for part in uploads.upload_parts.of(session)] == [5]
    assert [part.size for part in uploads.upload_parts.of(other)] == [5, 6]


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_an_upgrade_keeps_what_is_under_way() -> None:
    connection = connections["registry"]
    before = "0007_upload_algorithm"
    session = uploads.start(APP, ALICE)
    uploads.append(session, [b"hello"], 0)
    uploads.append(session, [b" world"], 5)
    parts = list(UploadPart.objects.order_by("offset").values("name", "size", "digest"))
    UploadPart.objects.all().delete()
    done = uploads.start(APP, ALICE)
    uploads.append(done, [b"hey"], 0)
    done = done.pk
    executor = MigrationExecutor(connection)
    try:
        state = executor.migrate([("registry", before)])
        old = state.apps.get_model("registry", "UploadSession").objects.using("registry")
        old.filter(pk=session.pk).update(parts=parts)
        old.filter(pk=done).update(committed_digest=digests.of(b""), offset=3)
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes("registry"))
    assert UploadPart.objects.count() == 2
    digest = digests.of(b"hello world, hello")
    found = uploads.find(APP, images.as_told(session), ALICE)
    uploads.commit(found, digest, [b", hello"], 11)
    assert blobs.find(APP, digest).size == 18
    images.push_blob(APP, b"and on")

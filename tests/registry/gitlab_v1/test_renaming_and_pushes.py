"""Renaming while somebody pushes: what is under way, what comes late, what comes at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from registry import digest as digests
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import FormerPath, Repository, RepositoryBlob, Tag, UploadSession
from registry.services import pushing, renaming, uploads
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.gitlab_v1.test_renaming import NOBODY, names, patch
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])


# What was under way, and what comes late


def test_an_upload_session_ends_with_the_old_name(bob: Person) -> None:
    images.push_image(APP, "v1")
    opened = bob.send("POST", f"/v2/{APP}/blobs/uploads/")
    location = opened.headers["Location"]
    assert bob.send("PATCH", location, b"half", chunked=True).status_code == 202
    patch({"name": "new"})
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        for path in (location, location.replace(APP, "acme/new")):
            query = f"&digest={digests.of(b'half')}" if method == "PUT" else ""
            response = bob.send(method, f"{path}{query}")
            assert_refused(response, Code.BLOB_UPLOAD_UNKNOWN)
    # Its bytes go when its time is over, as those of any session that nobody ends.
    assert UploadSession.objects.get(committed_digest="").offset == 4


def test_a_commit_under_way_ends_in_the_renamed_repository() -> None:
    images.push_image(APP, "v1")
    session = uploads.start(APP, images.ALICE)

    def body() -> Iterator[Any]:
        yield b"in "
        renaming.rename(APP, "acme/new", NOBODY)
        yield b"flight"

    digest = digests.of(b"in flight")
    uploads.commit(session, digest, body(), None)
    link = RepositoryBlob.objects.get(blob__digest=digest)
    assert link.repository.name == "acme/new"


def late() -> Actor:
    """Somebody whose token is from before the rename."""
    return Actor("bob", since=time.time() - 60)


def early() -> Actor:
    """Somebody who has asked for a token since."""
    return Actor("bob", since=time.time() + 60)


@pytest.mark.parametrize("name", [APP, f"{APP}/sub", f"{APP}/never/seen"])
def test_an_old_token_does_not_open_the_old_name_again(name: str) -> None:
    images.push_image(APP, "v1")
    images.push_image(f"{APP}/sub", "v1")
    renaming.rename(APP, "acme/new", NOBODY)
    with pytest.raises(RegistryError, match="was renamed") as refused:
        uploads.start(name, late())
    assert (refused.value.code, refused.value.status) == (Code.DENIED, 403)
    assert names() == {"acme/new", "acme/new/sub"}
    uploads.start("acme/app-2", late())
    uploads.start("acme/new/other", late())
    uploads.start(name, early())
    assert name in names()


def test_nor_one_that_nobody_had_pushed_to_yet() -> None:
    with pytest.raises(RegistryError, match="not known"):
        renaming.rename(APP, "acme/new", NOBODY)
    with pytest.raises(RegistryError, match="was renamed"):
        uploads.start(APP, late())


def test_on_the_wire(bob: Person) -> None:
    images.push_image(APP, "v1")

    def mount() -> Any:
        path = f"/v2/{APP}/blobs/uploads/?mount={'sha256:' + 'a' * 64}&from=acme/x"
        return bob.send("POST", path, also=(Access.repository("acme/x", "pull"),))

    # Both tokens are kept by `mint`: issued before.
    bob.token_for(f"/v2/{APP}/tags/list")
    assert mount().status_code == 202
    patch({"name": "new"})
    assert_refused(bob.send("POST", f"/v2/{APP}/blobs/uploads/"), Code.DENIED)
    assert_refused(mount(), Code.DENIED)
    index = (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    )
    response = bob.send("PUT", f"/v2/{APP}/manifests/v1", index,
                        content_type="application/vnd.oci.image.index.v1+json")  # fmt: skip
    assert_refused(response, Code.DENIED)
    assert names() == {"acme/new"}


def test_former_paths_are_forgotten_when_no_token_can_be_that_old(clock: Any) -> None:
    images.push_image(APP, "v1")
    renaming.rename(APP, "acme/new", NOBODY)
    clock.advance(days=2)
    renaming.rename("acme/new", "acme/newer", NOBODY)
    assert [former.path for former in FormerPath.objects.all()] == ["acme/new"]


# At the same time


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
class TestAtTheSameTime:
    def run(self, *calls: Any) -> list[Any]:
        answers: list[Any] = [None] * len(calls)
        start = threading.Barrier(len(calls))

        def one(number: int) -> None:
            try:
                start.wait()
                answers[number] = calls[number]()
            except RegistryError as error:
                answers[number] = error
            finally:
                connections.close_all()

        threads = [threading.Thread(target=one, args=(number,)) for number in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return answers

    def test_a_push_is_whole_in_one_of_the_two(self) -> None:
        """It lands before and goes along, or it is refused: never half of it under each name."""
        for round_ in range(15):
            old, new = f"acme/{round_}", f"acme/{round_}-new"
            image = images.push_image(old, "v1")
            value = json.loads(image.payload)
            payload = images.encoded(value | {"annotations": {"round": str(round_)}})

            kind = image.media_type

            def push(old: str = old, payload: bytes = payload, kind: str = kind) -> Any:
                return pushing.push(old, "v2", payload, kind, late())

            def first(old: str = old) -> Any:
                return uploads.start(f"{old}/first", late())

            def rename(old: str = old, new: str = new) -> Any:
                return renaming.rename(old, new, NOBODY)

            pushed, opened, renamed = self.run(push, first, rename)
            assert not isinstance(renamed, RegistryError), renamed
            assert not Repository.objects.filter(name__startswith=f"{old}/").exists()
            assert not Repository.objects.filter(name=old).exists()
            tags = set(Tag.objects.filter(repository__name=new).values_list("name", flat=True))
            was_refused = isinstance(pushed, RegistryError)
            assert tags == ({"v1"} if was_refused else {"v1", "v2"})
            moved = Repository.objects.filter(name=f"{new}/first").exists()
            assert moved is not isinstance(opened, RegistryError)
            for refusal in (pushed, opened):
                if isinstance(refusal, RegistryError):
                    assert refusal.code is Code.DENIED

    def test_two_renames_of_one(self) -> None:
        for round_ in range(10):
            old = f"acme/{round_}"
            images.push_image(old, "v1")
            images.push_image(f"{old}/sub", "v1")
            answers = self.run(
                lambda old=old: renaming.rename(old, f"{old}-a", NOBODY),
                lambda old=old: renaming.rename(old, f"{old}-b", NOBODY),
            )
            refused = [answer for answer in answers if isinstance(answer, RegistryError)]
            assert [error.code for error in refused] == [Code.NAME_UNKNOWN]

    def test_two_that_change_places(self) -> None:
        for round_ in range(10):
            one, two = f"acme/{round_}-one", f"acme/{round_}-two"
            images.push_image(one, "v1")
            images.push_image(two, "v1")
            answers = self.run(
                lambda one=one, two=two: renaming.rename(one, two, NOBODY),
                lambda one=one, two=two: renaming.rename(two, one, NOBODY),
            )
            assert {answer.status for answer in answers} == {409}
            assert {one, two} <= names()

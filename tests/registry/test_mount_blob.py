"""end-11: a blob of another repository, without uploading it again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, Repository, RepositoryBlob, Review, UploadSession
from registry.services import blobs, repositories
from registry.storage import paths
from registry.storage.filesystem import FilesystemStore
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, content_of
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

UPLOADS = f"/v2/{APP}/blobs/uploads/"
OTHER = "acme/other"
MAY_PULL_OTHER = (Access.repository(OTHER, "pull"),)
BODY = b"hello"


def mount(person: Person, digest: str, source: str | None = OTHER, **options: Any) -> Any:
    query = f"?mount={digest}" + (f"&from={source}" if source is not None else "")
    return person.send("POST", UPLOADS + query, **options)


def assert_not_mounted(response: Any) -> None:
    """The client is told to upload."""
    assert response.status_code == 202, response.content
    assert response.headers["Location"].startswith(UPLOADS)
    assert "Docker-Upload-UUID" in response.headers


def test_it_works(bob: Person) -> None:
    digest = images.push_blob(OTHER, BODY)
    response = mount(bob, digest, also=MAY_PULL_OTHER)
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v2/{APP}/blobs/{digest}"
    assert response.headers["Docker-Content-Digest"] == digest
    assert content_of(bob.send("GET", f"/v2/{APP}/blobs/{digest}")) == BODY
    assert not UploadSession.objects.filter(committed_digest="").exists()
    event = Event.objects.get(action="mount")
    assert (event.repository, event.digest, event.actor) == (APP, digest, "bob")


def test_it_works_twice_and_from_itself(bob: Person) -> None:
    digest = images.push_blob(OTHER, BODY)
    for _ in range(2):
        assert mount(bob, digest, also=MAY_PULL_OTHER).status_code == 201
    assert mount(bob, digest, APP).status_code == 201
    assert RepositoryBlob.objects.count() == 2


def test_what_was_mounted_is_protected_for_the_grace(bob: Person, settings: Any) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = dt.timedelta(0)
    digest = images.push_blob(OTHER, BODY)
    mount(bob, digest, also=MAY_PULL_OTHER)
    settings.REGISTRY_GC_REVIEW_DELAY = dt.timedelta(days=1)
    mount(bob, digest, also=MAY_PULL_OTHER)
    link = RepositoryBlob.objects.get(repository__name=APP)
    due = Review.objects.get(kind="link", target=link.pk).due_at
    assert due - link.created_at > dt.timedelta(hours=23)


def test_a_source_that_may_not_be_read_looks_like_one_that_is_not_there(bob: Person) -> None:
    secret = images.push_blob("zeta/secret", BODY)
    answers = [
        mount(bob, secret, "zeta/secret"),
        mount(bob, secret, "zeta/none"),
        mount(bob, f"sha256:{'0' * 64}", "zeta/secret"),
        mount(bob, secret, None),
        mount(bob, secret, OTHER, also=MAY_PULL_OTHER),
    ]
    for response in answers:
        assert_not_mounted(response)
    assert len({frozenset(r.headers) for r in answers}) == 1
    assert bob.send("GET", f"/v2/{APP}/blobs/{secret}").status_code == 404


def test_a_token_that_may_only_push_to_the_source_is_not_enough(bob: Person) -> None:
    digest = images.push_blob(OTHER, BODY)
    response = mount(bob, digest, also=(Access.repository(OTHER, "push", "delete"),))
    assert_not_mounted(response)


def test_lost_bytes_are_uploaded_again(bob: Person, store: FilesystemStore) -> None:
    digest = images.push_blob(OTHER, BODY)
    store.delete(digest)
    assert_not_mounted(mount(bob, digest, also=MAY_PULL_OTHER))
    assert not RepositoryBlob.objects.filter(repository__name=APP).exists()


def test_bytes_of_another_size_are_uploaded_again(bob: Person, store: FilesystemStore) -> None:
    digest = images.push_blob(OTHER, BODY)
    images.push_blob(APP, b"first")
    paths.blob(store.root, digest).write_bytes(BODY[:-1])
    assert_not_mounted(mount(bob, digest, also=MAY_PULL_OTHER))
    assert RepositoryBlob.objects.filter(repository__name=APP).count() == 1


def test_a_repository_belongs_to_one_project() -> None:
    """What belongs to none yet belongs to that of the first mount, as of the first push."""
    digest, second = images.push_blob(OTHER, BODY), images.push_blob(OTHER, b"second")
    images.push_blob(APP, b"first")
    assert blobs.mount(APP, digest, OTHER, Actor("bob", project_id=1))
    assert Repository.objects.get(name=APP).project_id == 1
    for actor in (Actor("bob", project_id=1), Actor("bob")):
        assert blobs.mount(APP, digest, OTHER, actor)
    before = Event.objects.count()
    with pytest.raises(RegistryError, match="another project") as refused:
        blobs.mount(APP, second, OTHER, Actor("bob", project_id=2))
    assert refused.value.code is Code.DENIED
    assert Event.objects.count() == before
    assert RepositoryBlob.objects.filter(repository__name=APP).count() == 2


def test_a_closed_source_has_nothing(bob: Person) -> None:
    digest = images.push_blob(OTHER, BODY)
    repositories.close(OTHER, images.ALICE)
    assert_not_mounted(mount(bob, digest, also=MAY_PULL_OTHER))


def test_a_blob_that_was_taken_from_the_source_is_not_mounted(alice: Person) -> None:
    digest = images.push_blob(OTHER, BODY)
    images.push_blob("acme/third", BODY)
    assert alice.send("DELETE", f"/v2/{OTHER}/blobs/{digest}").status_code == 202
    assert_not_mounted(mount(alice, digest, also=MAY_PULL_OTHER))


def test_the_session_of_a_refused_mount_can_be_used(bob: Person) -> None:
    digest = images.push_blob("zeta/secret", BODY)
    location = mount(bob, digest, "zeta/secret").headers["Location"]
    assert bob.send("PUT", f"{location}&digest={digest}", BODY).status_code == 201


@pytest.mark.parametrize("digest", ["sha256:zz", "", "latest", "sha256:" + "A" * 64])
def test_it_refuses_malformed_digests(bob: Person, digest: str) -> None:
    assert_refused(mount(bob, digest), Code.DIGEST_INVALID)


@pytest.mark.parametrize("source", ["../../x", "ACME/other", "", "acme/other%0a", "a" * 256])
def test_it_refuses_malformed_names(bob: Person, source: str) -> None:
    digest = images.push_blob(OTHER, BODY)
    assert_refused(mount(bob, digest, source), Code.NAME_INVALID)


def test_it_refuses_a_parameter_that_stands_twice(bob: Person) -> None:
    digest = images.push_blob("zeta/secret", BODY)
    response = mount(bob, digest, f"{OTHER}&from=zeta/secret", also=MAY_PULL_OTHER)
    assert_refused(response, Code.NAME_INVALID)
    response = mount(bob, f"{digest}&mount={digest}", also=MAY_PULL_OTHER)
    assert_refused(response, Code.DIGEST_INVALID)


def test_it_checks_access(carol: Person, mallory: Person, nobody: Person) -> None:
    digest = images.push_blob(OTHER, BODY)
    needed = f"repository:{APP}:pull,push"
    assert_challenged(mount(nobody, digest), needed)
    assert_challenged(mount(carol, digest), needed, "insufficient_scope")
    assert_challenged(mount(mallory, digest), needed, "insufficient_scope")
    assert not RepositoryBlob.objects.filter(repository__name=APP).exists()

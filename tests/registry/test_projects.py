"""A repository belongs to the project that opened it, and the path's next owner inherits
nothing.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from registry import auth
from registry.actor import Actor
from registry.auth import Caller, Meta
from registry.errors import Code, RegistryError
from registry.models import Manifest, Repository, Tag
from registry.services import blobs, manifests, pushing, repositories, undo, uploads
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, answer_at_once
from tokens.access import Access
from tokens.issue import issue
from tokens.verify import InvalidToken

pytestmark = pytest.mark.django_db(databases=["registry"])
FIRST, NEXT = 7, 8


def token(
    project: int | None, *actions: str, name: str = APP, subject: str | None = "alice"
) -> str:
    """A token as GitLab issues it, for an image of a project."""
    meta = {"project_id": project, "project_path": name} if project else {}
    access = [Access("repository", name, actions or ("pull", "push", "delete"), meta)]
    if subject is None:
        access.append(Access.repository(f"{name}/*", "pull"))
    return issue(access, subject=subject, lifetime=600).text


def push(project: int | None, tag: str = "latest", name: str = APP) -> images.Image:
    """Push an image with such a token's rights."""
    actor = Actor("alice", since=time.time(), project_id=project)
    config = images.content(20)
    images.push_blob(name, config, actor)
    value = images.document(config, [])
    payload = images.encoded(value)
    pushed = pushing.push(name, tag, payload, value["mediaType"], actor)
    return images.Image(pushed.digest, payload, value["mediaType"], value["config"]["digest"], ())


def restore(person: Person, project: int | None, what: dict[str, Any]) -> Any:
    return person.send(
        "POST",
        f"/gitlab/v1/berth/restore/{APP}/",
        images.encoded(what),
        token=token(project),
    )


# What a token says


def test_meta_is_that_of_the_repository() -> None:
    text = issue(
        [
            Access("repository", "acme/a", ("pull",), {"project_id": 3, "project_path": "acme/a"}),
            Access("repository", "acme/b", ("pull",), {"root_namespace_id": 9}),
            Access("repository", "acme/odd", ("pull",), {"project_id": True, "project_path": 4}),
        ],
        subject="alice",
    ).text
    caller = Caller(f"Bearer {text}")
    assert caller.meta("acme/a") == Meta(3, "acme/a", None)
    assert caller.meta("acme/b") == Meta(None, "", 9)
    assert caller.meta("acme/odd") == caller.meta("acme/none") == Meta()
    assert caller.acting_in("acme/a").project_id == 3
    assert caller.acting_in("acme/b").project_id is None
    assert Caller(None).meta("acme/a") == Meta()


def test_every_verified_token_passes_one_place(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images.push_image(APP, "v1")
    paths = (f"/v2/{APP}/manifests/v1", f"/v2/{APP}/blobs/{image.config}", "/gitlab/v1/")
    for path in paths:
        assert alice.send("GET", path, token=token(FIRST)).status_code == 200

    def refuse(claims: object) -> None:
        raise InvalidToken("it was ended before its time")

    monkeypatch.setattr(auth, "admit", refuse)
    for path in paths:
        response = alice.send("GET", path, token=token(FIRST))
        assert response.status_code == 401
        at_once = answer_at_once(response.wsgi_request.META)
        assert at_once is None or at_once.status == "401 Unauthorized"
    said = alice.send("GET", "/gitlab/v1/diagnosis/", token=token(FIRST)).json()
    assert (said["accepted"], said["reason"]) == (False, "it was ended before its time")


# Whose a repository is


def test_the_first_push_says_whose_it_is() -> None:
    push(FIRST)
    assert Repository.objects.get().project_id == FIRST
    push(None)
    assert Repository.objects.get().project_id == FIRST


def test_one_that_belongs_to_nobody_is_bound_by_the_next_push() -> None:
    push(None)
    assert Repository.objects.get().project_id is None
    push(FIRST)
    assert Repository.objects.get().project_id == FIRST


def test_a_push_into_the_image_of_another_project_is_refused(alice: Person) -> None:
    image = push(FIRST)
    response = alice.send(
        "PUT",
        f"/v2/{APP}/manifests/latest",
        image.payload,
        content_type=image.media_type,
        token=token(NEXT),
    )
    assert_refused(response, Code.DENIED)
    opened = alice.send("POST", f"/v2/{APP}/blobs/uploads/", token=token(NEXT))
    assert_refused(opened, Code.DENIED)
    other = push(NEXT, name="acme/next")
    mount = f"/v2/{APP}/blobs/uploads/?mount={other.config}&from=acme/next"
    both = issue(
        [
            Access("repository", APP, ("pull", "push"), {"project_id": NEXT}),
            Access.repository("acme/next", "pull"),
        ],
        subject="alice",
    ).text
    assert_refused(alice.send("POST", mount, token=both), Code.DENIED)
    assert Manifest.objects.count() == 2


# Undo belongs to the project that lost it


def test_a_closed_repository_comes_back_to_its_project_alone(alice: Person) -> None:
    image = push(FIRST)
    pk = repositories.close(APP, Actor("alice", project_id=FIRST))
    for project in (NEXT, None):
        assert_refused(restore(alice, project, {"repository": pk}), Code.NAME_UNKNOWN)
    assert restore(alice, FIRST, {"repository": pk}).status_code == 200
    assert manifests.find(APP, "latest").digest == image.digest


def test_the_next_owner_opens_a_repository_of_its_own(alice: Person) -> None:
    lost = push(FIRST)
    pk = repositories.close(APP, Actor("alice", project_id=FIRST))
    push(NEXT, "other")
    opened = Repository.objects.get(closed_at=None)
    assert (opened.project_id, opened.pk == pk) == (NEXT, False)
    with pytest.raises(RegistryError):
        manifests.find(APP, lost.digest)
    for guess in range(1, opened.pk + 1):
        assert restore(alice, NEXT, {"repository": guess}).status_code == 404


def test_tags_and_manifests_come_back_to_their_project_alone(alice: Person) -> None:
    image = push(FIRST)
    interval = Tag.objects.get().pk
    manifests.delete(APP, image.digest, images.ALICE)
    for project in (NEXT, None):
        assert restore(alice, project, {"tags": [interval]}).status_code == 404
        assert restore(alice, project, {"manifest": image.digest}).status_code == 404
    assert restore(alice, FIRST, {"manifest": image.digest}).json() == {"tags": ["latest"]}


def test_a_deletion_says_whose_it_was_where_no_push_had() -> None:
    push(None)
    pk = repositories.close(APP, Actor("", project_id=FIRST))
    assert Repository.objects.get(pk=pk).project_id == FIRST


def test_without_projects_undo_works_as_ever(alice: Person) -> None:
    push(None)
    pk = repositories.close(APP, images.ALICE)
    assert_refused(restore(alice, FIRST, {"repository": pk}), Code.NAME_UNKNOWN)
    assert restore(alice, None, {"repository": pk}).status_code == 200


# A project gives its path up


def given_up(person: Person, project: int | None, name: str = APP) -> Any:
    path = f"/gitlab/v1/berth/given-up/{name}/"
    return person.send("POST", path, token=token(project, "delete", name=name, subject=None))


def test_nothing_of_a_project_is_left_at_a_path_that_it_gave_up(gitlab: Person) -> None:
    for name in (APP, f"{APP}/cache", "acme/app-two"):
        push(FIRST, name=name)
    push(NEXT, name=f"{APP}/of-another")
    push(None, name=f"{APP}/of-nobody")
    assert given_up(gitlab, FIRST).json() == {"closed": 2}
    assert given_up(gitlab, FIRST).json() == {"closed": 0}
    left = set(Repository.objects.filter(closed_at=None).values_list("name", flat=True))
    assert left == {"acme/app-two", f"{APP}/of-another", f"{APP}/of-nobody"}


def test_a_token_from_before_plants_nothing_for_the_next_owner(gitlab: Person) -> None:
    before = Actor("mallory", since=time.time() - 1, project_id=FIRST)
    assert given_up(gitlab, FIRST).status_code == 200
    for name in (APP, f"{APP}/cache"):
        with pytest.raises(RegistryError) as refused:
            uploads.start(name, before)
        assert refused.value.code is Code.DENIED
    assert not Repository.objects.exists()
    uploads.start(APP, Actor("carol", since=time.time() + 1, project_id=NEXT))


def test_giving_up_is_gitlabs_alone(alice: Person, gitlab: Person, nobody: Person) -> None:
    push(FIRST)
    path = f"/gitlab/v1/berth/given-up/{APP}/"
    assert_challenged(nobody.send("POST", path), f"repository:{APP}:delete")
    response = alice.send("POST", path, token=token(FIRST))
    assert_challenged(response, f"repository:{APP}/*:pull", "insufficient_scope")
    assert_refused(given_up(gitlab, None), Code.DENIED)
    assert Repository.objects.filter(closed_at=None).exists()


def test_undo_of_services_asks_for_the_project_too() -> None:
    push(FIRST)
    pk = repositories.close(APP, Actor(project_id=FIRST))
    with pytest.raises(RegistryError):
        undo.restore_repository(APP, pk, Actor("mallory", project_id=NEXT))
    undo.restore_repository(APP, pk, Actor("alice", project_id=FIRST))
    assert not blobs.mount(APP, f"sha256:{'0' * 64}", APP, Actor(project_id=FIRST))

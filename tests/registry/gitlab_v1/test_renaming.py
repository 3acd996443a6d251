"""Renaming and moving: everything goes along, or nothing; who may; what happens meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, FormerPath, Repository, Tag
from registry.services import renaming, repositories, undo
from tests.e2e.installation import wait_until
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

NOBODY = Actor()


def patch(
    body: Any, path: str = APP, *access: Access, query: str = "", subject: str | None = None
) -> Any:
    """A PATCH with the token that GitLab mints for a rename, or with `access`."""
    granted = access or (
        Access.repository(path, "pull", "push"),
        Access.repository(f"{path}/*", "pull"),
        Access.repository("acme/*", "push"),
    )
    return Person(subject, ()).send(
        "PATCH",
        f"/gitlab/v1/repositories/{path}/{query}",
        json.dumps(body).encode(),
        content_type="application/json",
        token=mint(subject, *granted),
    )


def names() -> set[str]:
    return set(Repository.objects.filter(closed_at=None).values_list("name", flat=True))


# What it does


def test_it_takes_everything_along(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    below = images.push_image(f"{APP}/sub/deep", "v1")
    beside = images.push_image("acme/app-2", "v1")
    ids = dict(Repository.objects.values_list("name", "pk"))
    response = patch({"name": "new"})
    assert (response.status_code, response.content) == (204, b"")
    for name, expected in (
        ("acme/new", image), ("acme/new/sub/deep", below), ("acme/app-2", beside),
    ):  # fmt: skip
        got = carol.send("GET", f"/v2/{name}/manifests/v1")
        assert got.content == expected.payload
        for layer in expected.layers:
            assert carol.send("HEAD", f"/v2/{name}/blobs/{layer}").status_code == 200
    assert_refused(carol.send("GET", f"/v2/{APP}/manifests/v1"), Code.NAME_UNKNOWN)
    assert_refused(carol.send("GET", f"/v2/{APP}/blobs/{image.layers[0]}"), Code.BLOB_UNKNOWN)
    assert Repository.objects.get(name="acme/new").pk == ids[APP]
    assert Tag.objects.count() == 3


def test_moving_to_the_top(carol: Person) -> None:
    images.push_image("acme/team/app", "v1")
    images.push_image("acme/team/app/sub", "v1")
    of = Access.repository("acme/team", "pull", "push"), Access.repository("acme/team/*", "pull")
    # To push below a path is not to push to it.
    below = patch({"namespace": ""}, "acme/team", *of, Access.repository("team/*", "push"))
    assert below.status_code == 401
    moved = patch({"namespace": ""}, "acme/team", *of, Access.repository("team", "push"))
    assert moved.status_code == 204
    assert names() == {"team/app", "team/app/sub"}


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_events_name_both(gitlab: Person) -> None:
    images.push_image(APP, "v1")
    images.push_image(f"{APP}/sub", "v1")
    patch({"name": "new"})
    # Other tests on the same server may hold the newest event back for a moment.
    found = wait_until(
        lambda: [
            event
            for event in gitlab.send("GET", "/gitlab/v1/events/").json()
            if event["action"] == "rename"
        ],
        interval=0.05,
    )
    assert [(e["renamed_from"], e["repository"]) for e in found] == [
        (APP, "acme/new"),
        (f"{APP}/sub", "acme/new/sub"),
    ]
    pushed = Event.objects.filter(action="push").first()
    assert pushed is not None
    assert pushed.renamed_from == ""


def test_moving_to_another_namespace() -> None:
    images.push_image(APP, "v1")
    access = (
        Access.repository(APP, "pull", "push"),
        Access.repository(f"{APP}/*", "pull"),
        Access.repository("other/deep/*", "push"),
    )
    assert patch({"namespace": "other/deep"}, APP, *access).status_code == 204
    assert names() == {"other/deep/app"}


def test_a_path_that_holds_no_image_itself(carol: Person) -> None:
    images.push_image(f"{APP}/one", "v1")
    images.push_image(f"{APP}/two", "v1")
    assert patch({"name": "new"}).status_code == 204
    assert names() == {"acme/new/one", "acme/new/two"}


def test_a_top_level_path() -> None:
    images.push_image("acme/app", "v1")
    access = (
        Access.repository("acme", "pull", "push"),
        Access.repository("acme/*", "pull"),
        Access.repository("harbour", "push"),
    )
    assert patch({"name": "harbour"}, "acme", *access).status_code == 204
    assert names() == {"harbour/app"}


def test_into_itself() -> None:
    for name in ("acme/a", "acme/a/a", "acme/a/a/a"):
        images.push_image(name, "v1")
    assert patch({"namespace": "acme/a"}, "acme/a").status_code == 204
    assert names() == {"acme/a/a", "acme/a/a/a", "acme/a/a/a/a"}


def test_there_and_back(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    assert patch({"name": "new"}).status_code == 204
    assert patch({"name": "app"}, "acme/new").status_code == 204
    assert carol.send("GET", f"/v2/{APP}/manifests/v1").content == image.payload


def test_a_dry_run_changes_nothing() -> None:
    images.push_image(APP, "v1")
    assert patch({"name": "new"}, query="?dry_run=true").status_code == 202
    assert names() == {APP}
    assert not Event.objects.filter(action="rename").exists()
    assert not FormerPath.objects.exists()
    assert patch({"name": "new"}, query="?dry_run=false").status_code == 204


def test_its_queries_do_not_grow_with_what_is_there(django_assert_max_num_queries: Any) -> None:
    Repository.objects.bulk_create(Repository(name=f"{APP}/{number}") for number in range(1000))
    with django_assert_max_num_queries(45, using="registry"):
        assert len(renaming.rename(APP, "acme/new", NOBODY)) == 1000


# Refusals


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
class TestRefusals:
    def test_a_name_that_is_taken(self, query: str) -> None:
        for name in (APP, f"{APP}/sub", "acme/new/sub"):
            images.push_image(name, "v1")
        refused = assert_refused(patch({"name": "new"}, query=query), Code.DENIED, 409)
        assert refused["detail"] == {"name": "acme/new/sub"}
        assert names() == {APP, f"{APP}/sub", "acme/new/sub"}

    def test_its_own_name(self, query: str) -> None:
        images.push_image(APP, "v1")
        assert_refused(patch({"name": "app"}, query=query), Code.DENIED, 409)

    def test_nothing_there(self, query: str) -> None:
        assert_refused(patch({"name": "new"}, query=query), Code.NAME_UNKNOWN)

    def test_too_many(self, query: str) -> None:
        Repository.objects.bulk_create(Repository(name=f"{APP}/{number}") for number in range(1001))
        assert_refused(patch({"name": "new"}, query=query), Code.UNSUPPORTED, 422)

    def test_a_name_that_gets_too_long(self, query: str) -> None:
        images.push_image(APP, "v1")
        images.push_image(f"{APP}/{'x' * 240}", "v1")
        body = {"name": "a" * 20}
        assert_refused(patch(body, query=query), Code.NAME_INVALID)
        assert APP in names()

    @pytest.mark.parametrize(
        "body",
        [{"name": ""}, {"name": "A"}, {"namespace": "A/b"}, {"name": "a" * 256}, {"namespace": "/"},
         {"name": "a\n"}, {"name": "\0"}],
    )  # fmt: skip
    def test_malformed_names(self, query: str, body: Any) -> None:
        images.push_image(APP, "v1")
        assert_refused(patch(body, query=query), Code.NAME_INVALID)


def test_an_odd_dry_run_is_no_rename() -> None:
    images.push_image(APP, "v1")
    for query in ("?dry_run=1", "?dry_run=", "?dry_run=True"):
        assert_refused(patch({"name": "new"}, query=query), Code.UNSUPPORTED, 400)
    assert names() == {APP}


# Who may


OWN = Access.repository(APP, "pull", "push")
BELOW = Access.repository(f"{APP}/*", "pull")


@pytest.mark.parametrize(
    ("access", "scope"),
    [
        ([Access.repository(APP, "pull"), BELOW], f"repository:{APP}:pull,push"),
        ([OWN, BELOW], "repository:acme/new:push"),
        ([OWN, BELOW, Access.repository("acme/new", "pull")], "repository:acme/new:push"),
        # A name that only begins alike is not below.
        ([OWN, BELOW, Access.repository("ac/*", "push")], "repository:acme/new:push"),
        ([OWN, Access.repository("acme/new", "push")], f"repository:{APP}/*:pull"),
    ],
)
def test_it_needs_all_of_its_access(access: list[Access], scope: str) -> None:
    images.push_image(APP, "v1")
    response = patch({"name": "new"}, APP, *access)
    assert_challenged(response, scope, "insufficient_scope")
    assert names() == {APP}


@pytest.mark.parametrize("target", ["acme/new", "acme/*", "*"])
def test_people_do_not_rename_behind_gitlabs_back(target: str) -> None:
    """A developer's push to two names is no right to call one like the other."""
    images.push_image(APP, "v1")
    access = (OWN, Access.repository(f"{APP}/x", "pull"), Access.repository(target, "push"))
    response = patch({"name": "new"}, APP, *access, subject="bob")
    assert response.status_code == 401
    assert names() == {APP}


def test_nobody_may(nobody: Person) -> None:
    images.push_image(APP, "v1")
    response = nobody.send("PATCH", f"/gitlab/v1/repositories/{APP}/", b'{"name":"new"}')
    assert_challenged(response, f"repository:{APP}:pull,push")


# Deleted repositories


def test_a_deleted_repository_follows_and_comes_back_under_the_new_name(carol: Person) -> None:
    deleted = images.push_image(f"{APP}/sub", "v1")
    images.push_image(APP, "v1")
    pk = repositories.close(f"{APP}/sub", images.ALICE)
    renaming.rename(APP, "acme/new", NOBODY)
    with pytest.raises(RegistryError):
        undo.restore_repository(f"{APP}/sub", pk, images.ALICE)
    undo.restore_repository("acme/new/sub", pk, images.ALICE)
    got = carol.send("GET", "/v2/acme/new/sub/manifests/v1")
    assert got.content == deleted.payload


def test_only_deleted_ones() -> None:
    images.push_image(APP, "v1")
    pk = repositories.close(APP, images.ALICE)
    assert renaming.rename(APP, "acme/new", NOBODY) == []
    undo.restore_repository("acme/new", pk, images.ALICE)
    assert names() == {"acme/new"}


def test_a_deleted_one_does_not_take_a_name() -> None:
    images.push_image("acme/new", "v1")
    repositories.close("acme/new", images.ALICE)
    images.push_image(APP, "v1")
    renaming.rename(APP, "acme/new", NOBODY)
    assert names() == {"acme/new"}


def test_a_deleted_one_whose_name_would_be_too_long_stays() -> None:
    long = f"{APP}/{'x' * 240}"
    images.push_image(APP, "v1")
    images.push_image(long, "v1")
    repositories.close(long, images.ALICE)
    renaming.rename(APP, f"acme/{'a' * 20}", NOBODY)
    assert Repository.objects.get(closed_at__isnull=False).name == long

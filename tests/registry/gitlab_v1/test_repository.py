"""One repository in GitLab's eyes: details, deletion, renaming, undo."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.errors import Code
from registry.models import Event, Repository, Review, Tag
from registry.services import repositories, repository_details
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

PATH = f"/gitlab/v1/repositories/{APP}/"


def patch(person: Person, body: Any, path: str = PATH, **options: Any) -> Any:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return person.send("PATCH", path, payload, content_type="application/json", **options)


def restore(person: Person, body: Any, name: str = APP) -> Any:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/gitlab/v1/berth/restore/{name}/"
    token = mint(person.subject, Access.repository(name, *person.actions))
    return person.send("POST", path, payload, content_type="application/json", token=token)


# Discovery and details


def test_discovery(carol: Person, nobody: Person) -> None:
    response = nobody.send("GET", "/gitlab/v1/", token=mint("carol"))
    assert response.status_code == 200
    assert_challenged(nobody.send("GET", "/gitlab/v1/"), None)
    assert nobody.send("GET", "/gitlab/v1/berth/", token=mint("carol")).status_code == 200
    assert_challenged(nobody.send("GET", "/gitlab/v1/berth/"), None)


@pytest.mark.parametrize("size", ["self", "self_with_descendants"])
def test_too_many_blobs_have_no_size(
    carol: Person, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    images.push_image(APP, "v1", layers=[b"layer"])
    monkeypatch.setattr(repository_details, "MAX_BLOBS", 2)
    assert carol.send("GET", f"{PATH}?size={size}").json()["size_bytes"] > 5
    monkeypatch.setattr(repository_details, "MAX_BLOBS", 1)
    body = carol.send("GET", f"{PATH}?size={size}").json()
    assert body["tags_count"] == 1
    assert "size_bytes" not in body


def test_details(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_image(APP, "v1")
    images.push_image(APP, "v2")
    response = carol.send("GET", PATH)
    assert response.status_code == 200
    body = response.json()
    assert (body["name"], body["path"], body["tags_count"]) == ("app", APP, 2)
    assert body["collect_untagged"] is True
    assert body["created_at"] <= body["last_published_at"]
    assert body["id"] == Repository.objects.get().pk
    assert "size_bytes" not in body
    assert image


def test_sizes_count_each_blob_once(carol: Person) -> None:
    shared, alone = images.content(1000), images.content(500)
    one = images.push_image(APP, "v1", layers=[shared], config=b"{}")
    images.push_image(APP, "v2", layers=[shared, alone], config=b"{}")
    images.push_image(f"{APP}/sub", "v1", layers=[shared, images.content(70)], config=b"{}")
    images.push_image("acme/app2", "v1")
    images.push_image("acme/app-x", "v1")
    images.push_blob(APP, images.content(9999))
    for size, expected in (("self", 1502), ("self_with_descendants", 1572)):
        body = carol.send("GET", f"{PATH}?size={size}").json()
        assert body["size_bytes"] == expected
    assert one
    assert_refused(carol.send("GET", f"{PATH}?size=x"), Code.UNSUPPORTED, 400)


def test_a_project_without_an_image_of_its_own_has_a_size(carol: Person) -> None:
    shared, alone = images.content(1000), images.content(500)
    images.push_image(f"{APP}/a", "v1", layers=[shared], config=b"{}")
    images.push_image(f"{APP}/b/c", "v1", layers=[shared, alone], config=b"{}")
    images.push_image(f"{APP}-x", "v1", layers=[images.content(9)], config=b"{}")
    response = carol.send("GET", f"{PATH}?size=self_with_descendants")
    assert response.status_code == 200
    assert response.json() == {
        "name": "app",
        "path": APP,
        "size_bytes": 1502,
        "size_precision": "default",
    }
    # Of itself there is nothing to tell.
    for query in ("", "?size=self"):
        assert_refused(carol.send("GET", f"{PATH}{query}"), Code.NAME_UNKNOWN)


@pytest.mark.parametrize("beside", ["acme/app-x", "acme/app0", "acme", "acme/ap"])
def test_what_is_beside_counts_nothing(carol: Person, beside: str) -> None:
    images.push_image(beside, "v1")
    assert_refused(carol.send("GET", f"{PATH}?size=self_with_descendants"), Code.NAME_UNKNOWN)


def test_what_was_deleted_below_counts_nothing(carol: Person) -> None:
    images.push_image(f"{APP}/a", "v1")
    repositories.close(f"{APP}/a", images.ALICE)
    assert_refused(carol.send("GET", f"{PATH}?size=self_with_descendants"), Code.NAME_UNKNOWN)


def test_what_was_deleted_has_no_size(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    alice.send("DELETE", f"/v2/{APP}/manifests/{image.digest}")
    assert alice.send("GET", f"{PATH}?size=self").json()["size_bytes"] == 0


def test_details_refuse_what_is_unknown(carol: Person) -> None:
    assert_refused(carol.send("GET", PATH), Code.NAME_UNKNOWN)
    assert_refused(carol.send("GET", "/gitlab/v1/repositories/ACME/x/"), Code.NAME_INVALID)


# Deletion


def test_deletion(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    repository = Repository.objects.get()
    response = alice.send("DELETE", PATH)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Gitlab-Repository-Id"] == str(repository.pk)
    for path in ("manifests/v1", f"manifests/{image.digest}", "tags/list"):
        assert_refused(alice.send("GET", f"/v2/{APP}/{path}"), Code.NAME_UNKNOWN)
    assert Review.objects.get(kind="repository").target == repository.pk
    assert Event.objects.get(action="delete").repository == APP
    assert_refused(alice.send("DELETE", PATH), Code.NAME_UNKNOWN)


def test_deletion_is_off_where_it_is_off(alice: Person, settings: Any) -> None:
    images.push_image(APP, "v1")
    settings.REGISTRY_DELETE_ENABLED = False
    assert_refused(alice.send("DELETE", PATH), Code.UNSUPPORTED)


# Settings of a repository


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"[" * 50_000, {}, {"name": 5}, {"name": "a/b"}, {"namespace": None},
     {"name": "x", "namespace": "y"}, {"collect_untagged": "no"}, {"collect_untagged": 1},
     {"collect_untagged": True, "name": "x"}, {"other": 1}],
)  # fmt: skip
def test_odd_bodies_are_refused(alice: Person, body: Any) -> None:
    images.push_image(APP, "v1")
    assert_refused(patch(alice, body), Code.UNSUPPORTED, 400)


def test_a_body_that_is_too_large_is_refused(alice: Person) -> None:
    images.push_image(APP, "v1")
    response = patch(alice, b'{"name": "' + b"a" * 300_000 + b'"}')
    assert response.status_code == 413


def test_untagged_ones_are_kept_on_request(alice: Person) -> None:
    images.push_image(APP, None)
    below = Access.repository(f"{APP}/*", "pull")
    for keep in (False, True):
        assert patch(alice, {"collect_untagged": keep}, also=(below,)).status_code == 204
        assert alice.send("GET", PATH).json()["collect_untagged"] is keep


def test_who_may_push_does_not_say_what_is_kept(alice: Person) -> None:
    """It is a setting of the project, which GitLab knows who may change."""
    images.push_image(APP, None)
    assert_refused(patch(alice, {"collect_untagged": False}), Code.UNAUTHORIZED)
    assert alice.send("GET", PATH).json()["collect_untagged"] is True


# Undo


def test_tags_come_back(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    for reference in ("v1", image.digest):
        alice.send("DELETE", f"/v2/{APP}/manifests/{reference}")
        interval = Tag.objects.order_by("-pk").first()
        assert interval is not None
        if reference == "v1":
            response = restore(alice, {"tags": [interval.pk]})
            assert response.json() == {"tags": ["v1"]}
        else:
            response = restore(alice, {"manifest": image.digest})
            assert response.json() == {"tags": ["v1"]}
        assert alice.send("GET", f"/v2/{APP}/manifests/v1").content == image.payload
    assert Event.objects.filter(action="restore").count() == 2


def test_a_tag_that_is_there_again_is_not_replaced(alice: Person) -> None:
    images.push_image(APP, "v1")
    alice.send("DELETE", f"/v2/{APP}/manifests/v1")
    interval = Tag.objects.get()
    new = images.push_image(APP, "v1")
    assert_refused(restore(alice, {"tags": [interval.pk]}), Code.DENIED, 409)
    assert alice.send("GET", f"/v2/{APP}/manifests/v1").content == new.payload


def test_a_repository_comes_back(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    pk = int(alice.send("DELETE", PATH).headers["Gitlab-Repository-Id"])
    assert restore(alice, {"repository": pk}).status_code == 200
    assert alice.send("GET", f"/v2/{APP}/manifests/v1").content == image.payload
    assert_refused(restore(alice, {"repository": pk}), Code.NAME_UNKNOWN)


def test_a_repository_comes_back_to_its_own_name_only(alice: Person) -> None:
    images.push_image(APP, "v1")
    pk = repositories.close(APP, images.ALICE)
    assert_refused(restore(alice, {"repository": pk}, "acme/other"), Code.NAME_UNKNOWN)
    images.push_image(APP, "v1")
    assert_refused(restore(alice, {"repository": pk}), Code.DENIED, 409)


def test_a_window_that_is_over_is_over(alice: Person, clock: Any) -> None:
    images.push_image(APP, "v1")
    pk = repositories.close(APP, images.ALICE)
    clock.advance(days=8)
    assert_refused(restore(alice, {"repository": pk}), Code.NAME_UNKNOWN)


@pytest.mark.parametrize(
    "body",
    [
        {"tags": [10**30]}, {"tags": [-1]}, {"tags": [2**63]}, {"tags": list(range(1, 30_000))},
        {"repository": 10**30}, {"repository": -1}, {"repository": 2**63},
        {"manifest": f"sha256:{'0' * 64}"},
    ],
)  # fmt: skip
def test_what_was_never_here_does_not_come_back(alice: Person, body: Any) -> None:
    images.push_image(APP, "v1")
    response = restore(alice, body)
    assert response.status_code in (400, 404)
    assert response.json()["errors"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", {}, {"tags": []}, {"tags": "v1"}, {"tags": ["v1"]}, {"tags": [True]},
     {"tags": [1.5]}, {"repository": "1"}, {"repository": None}, {"repository": True},
     {"manifest": 5}],
)  # fmt: skip
def test_odd_wishes_are_refused(alice: Person, body: Any) -> None:
    images.push_image(APP, "v1")
    assert_refused(restore(alice, body), Code.UNSUPPORTED, 400)


def test_undo_needs_both_rights(bob: Person, carol: Person, mallory: Person) -> None:
    images.push_image(APP, "v1")
    for person in (bob, carol):
        response = restore(person, {"tags": [1]})
        assert_challenged(response, f"repository:{APP}:push,delete", "insufficient_scope")


def test_it_checks_access(mallory: Person, nobody: Person, bob: Person) -> None:
    images.push_image(APP, "v1")
    assert_challenged(nobody.send("GET", PATH), f"repository:{APP}:pull")
    assert_challenged(mallory.send("GET", PATH), f"repository:{APP}:pull", "insufficient_scope")
    response = bob.send("DELETE", PATH)
    assert_challenged(response, f"repository:{APP}:delete", "insufficient_scope")

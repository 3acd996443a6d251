"""Our own words never collide with names: every word of every route as an image and as a tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from registry.gitlab_v1.urls import urlpatterns
from registry.models import Tag
from registry.urls import urlpatterns as everything
from tests.registry import images
from tests.registry.base import Person, mint
from tokens.access import Access, is_repository_name

pytestmark = pytest.mark.django_db(databases=["registry"])


def routes() -> Iterator[str]:
    """The addresses of this side, with their converters."""
    for pattern in (*everything, *urlpatterns):
        yield str(pattern.pattern)


WORDS = sorted(
    {word for route in routes() for word in re.findall(r"(?<![<:\w])[\w-]+(?![\w>])", route)}
)
ENDINGS = sorted(
    {
        ending.strip("/")
        for route in routes()
        for ending in re.findall(r">((?:/[\w-]+)+)/?", route)
        if is_repository_name(f"a{ending}")
    }
)
NAMES = [
    *(f"acme/{word}" for word in WORDS if is_repository_name(word)),
    *(f"acme/app/{ending}" for ending in ENDINGS),
    "acme/app/tags/list/tags/list",
    "tags/list",
    "berth/restore",
]
TAGS = [word for word in WORDS if re.fullmatch(r"\w[\w.-]*", word)]


def test_the_words_are_all_there() -> None:
    assert {"restore", "freed", "tags", "list", "history", "berth", "manifests"} <= set(WORDS)
    assert {"tags/list", "repositories/list", "blobs/uploads"} <= set(ENDINGS)


def send(person: Person, method: str, path: str, name: str, **more: Any) -> Any:
    """A request with a token for `name` alone, whatever the address looks like."""
    access = Access.repository(name, "pull", "push", "delete")
    return person.send(method, path, token=mint("alice", access), **more)


def call(
    person: Person, what: str, name: str, query: str = "", method: str = "GET", **more: Any
) -> Any:
    response = send(person, method, f"/gitlab/v1/berth/{what}/{name}/{query}", name, **more)
    assert response.status_code in (200, 204), (what, name, response.content)
    return response


@pytest.mark.parametrize("name", NAMES)
def test_every_word_of_every_route_may_be_a_name(name: str, alice: Person) -> None:
    """Beside an image whose name is all but the last word, which is never meant."""
    shorter = name.rpartition("/")[0]
    for path in {shorter, "acme/app"} - {"", name}:
        images.push_image(path, "of-another")
    image = images.push_image(name, "v1")
    assert send(alice, "GET", f"/v2/{name}/manifests/v1", name).content == image.payload
    assert send(alice, "GET", f"/v2/{name}/tags/list", name).json() == {
        "name": name,
        "tags": ["v1"],
    }
    assert send(alice, "GET", f"/v2/{name}/blobs/{image.config}", name).status_code == 200
    assert send(alice, "GET", f"/v2/{name}/referrers/{image.digest}", name).status_code == 200
    assert send(alice, "POST", f"/v2/{name}/blobs/uploads/", name).status_code == 202
    listed = send(alice, "GET", f"/gitlab/v1/repositories/{name}/tags/list/", name).json()
    assert [tag["name"] for tag in listed] == ["v1"]
    assert call(alice, "repository", name).json()["path"] == name
    assert [tag["name"] for tag in call(alice, "tags", name).json()] == ["v1"]
    assert call(alice, "tag", name, "?tag=v1").json()["digest"] == image.digest
    assert len(call(alice, "history", name, "?tag=v1").json()) == 1
    assert call(alice, "freed", name, "?tags=v1").json()["manifests"] == 1
    assert name in {row["path"] for row in call(alice, "descendants", name).json()}
    assert send(alice, "DELETE", f"/v2/{name}/manifests/v1", name).status_code == 202
    (deleted,) = (row for row in call(alice, "deleted-tags", name).json() if row["path"] == name)
    back = images.encoded({"tags": [deleted["interval"]]})
    assert call(alice, "restore", name, method="POST", body=back).json() == {"tags": ["v1"]}
    gone = call(alice, "repository", name, method="DELETE")
    back = images.encoded({"repository": int(gone.headers["Gitlab-Repository-Id"])})
    assert call(alice, "restore", name, method="POST", body=back).json() == {"tags": []}
    assert send(alice, "GET", f"/v2/{name}/manifests/v1", name).content == image.payload


def test_every_word_of_every_route_may_be_a_tag(alice: Person) -> None:
    pushed = {tag: images.push_image("acme/app", tag) for tag in TAGS}
    for tag, image in pushed.items():
        assert alice.send("GET", f"/v2/acme/app/manifests/{tag}").content == image.payload
        assert call(alice, "tag", "acme/app", f"?tag={tag}").json()["digest"] == image.digest
        (interval,) = call(alice, "history", "acme/app", f"?tag={tag}").json()
        assert interval["digest"] == image.digest
        assert alice.send("DELETE", f"/v2/acme/app/manifests/{tag}").status_code == 202
    assert not Tag.objects.filter(ended_at=None).exists()

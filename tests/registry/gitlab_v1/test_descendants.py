"""The repositories at and below a path."""

from __future__ import annotations

import pytest

from registry.errors import Code
from registry.services import repositories, tags
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import Person

pytestmark = pytest.mark.django_db(databases=["registry"])

LIST = "/gitlab/v1/repository-paths/acme/repositories/list/"
NAMES = ["acme", "acme/a", "acme/a/b", "acme/a0", "acme/b"]


@pytest.fixture
def several() -> None:
    """Repositories at, below and beside acme, and some that have no tag or are gone."""
    for name in [*reversed(NAMES), "acme-2/x", "acme0", "acm/e", "acme/gone", "acme/untagged"]:
        images.push_image(name, "v1")
        images.push_image(name, "v2")
    images.push_image("acme/never", None)
    for tag in ("v1", "v2"):
        tags.delete("acme/untagged", tag, images.ALICE)
    repositories.close("acme/gone", images.ALICE)


@pytest.mark.usefixtures("several")
def test_it_works(carol: Person) -> None:
    response = carol.send("GET", LIST)
    assert response.status_code == 200
    found = response.json()
    assert [repository["path"] for repository in found] == NAMES
    assert [repository["name"] for repository in found] == ["acme", "a", "b", "a0", "b"]
    assert "Link" not in response.headers


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("n", [1, 2, 5])
def test_pages_lead_through_everything(carol: Person, n: int) -> None:
    found, path = [], f"{LIST}?n={n}"
    while path:
        response = carol.send("GET", path)
        found += [repository["path"] for repository in response.json()]
        path = response.headers.get("Link", "").partition(">")[0].lstrip("<")
    assert found == NAMES


def test_a_path_without_any_is_empty(carol: Person) -> None:
    assert carol.send("GET", LIST).json() == []


def test_it_refuses_malformed_paths(carol: Person) -> None:
    response = carol.send("GET", "/gitlab/v1/repository-paths/Acme/repositories/list/")
    assert_refused(response, Code.NAME_INVALID)


def test_it_checks_access(nobody: Person, mallory: Person) -> None:
    assert_challenged(nobody.send("GET", LIST), "repository:acme:pull")
    assert_challenged(mallory.send("GET", LIST), "repository:acme:pull", "insufficient_scope")

"""docker's catalog: the names of all repositories."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import Code
from registry.services import repositories
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

CATALOG = "/v2/_catalog"
NAMES = ["a", "a-b/c", "a.b", "a/b", "a/b-c", "a/b/c", "a0", "ab", "acme/app"]
"""In byte order."""


@pytest.fixture
def catalog() -> None:
    """Several repositories, pushed in another order, and one that has been deleted."""
    for name in [*reversed(NAMES), "gone/app"]:
        images.push_image(name, "v1")
    repositories.close("gone/app", images.ALICE)


@pytest.mark.usefixtures("catalog")
def test_it_works_in_byte_order(gitlab: Person) -> None:
    response = gitlab.send("GET", CATALOG)
    assert response.json() == {"repositories": NAMES}
    assert "Link" not in response.headers


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize("n", [1, 2, 8, 9])
def test_pages_lead_through_everything(gitlab: Person, n: int) -> None:
    found, path = [], f"{CATALOG}?n={n}"
    while path:
        response = gitlab.send("GET", path)
        found += response.json()["repositories"]
        path = response.headers.get("Link", "").partition(">")[0].lstrip("<")
    assert found == NAMES


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("last=a/b", NAMES[4:]),
        ("last=a/a", NAMES[3:]),
        ("last=zzz", []),
        ("n=0", []),
        ("n=1000000000", NAMES),
        ("n=9223372036854775807", NAMES),
        ("last=%00", NAMES),
        ("last=" + "z" * 4000, []),
    ],
)
def test_parameters(gitlab: Person, query: str, expected: list[str]) -> None:
    assert gitlab.send("GET", f"{CATALOG}?{query}").json()["repositories"] == expected


@pytest.mark.usefixtures("catalog")
def test_a_page_has_a_maximum(gitlab: Person, settings: Any) -> None:
    settings.REGISTRY_MAX_PAGE = 3
    response = gitlab.send("GET", f"{CATALOG}?n=10")
    assert len(response.json()["repositories"]) == 3


def test_it_refuses_odd_numbers(gitlab: Person) -> None:
    for n in ("-1", "x", "1.5"):
        response = gitlab.send("GET", f"{CATALOG}?n={n}")
        assert_refused(response, Code.PAGINATION_NUMBER_INVALID)


def test_it_checks_access(alice: Person, nobody: Person) -> None:
    scope = "registry:catalog:*"
    assert_challenged(nobody.send("GET", CATALOG), scope)
    alice_token = mint("alice", Access.repository(APP, "pull", "push", "delete"))
    tokens = [
        alice_token,
        mint("x", Access("repository", "catalog", ("*",))),
        mint("x", Access("registry", "catalog", ("pull",))),
        mint("x", Access("registry", "*", ("*",))),
        mint(None, Access("repository", "*", ("*",))),
    ]
    for token in tokens:
        response = nobody.send("GET", CATALOG, token=token)
        assert_challenged(response, scope, "insufficient_scope")
    granted = mint("root", Access("registry", "catalog", ("*",)))
    assert nobody.send("GET", CATALOG, token=granted).status_code == 200

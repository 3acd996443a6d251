"""Rates at the registry: 429 in the protocol's form, and never for an upload under way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import Code
from tests.refusals import assert_refused
from tests.registry.base import APP, Person
from tests.registry.uploading import UPLOADS, assert_created, digest_of, start

pytestmark = pytest.mark.django_db(databases=["registry"])

TAGS = f"/v2/{APP}/tags/list"


@pytest.fixture(autouse=True)
def limits(
    settings: Any, tmp_path: Path, _registry_process: None, monkeypatch: pytest.MonkeyPatch
) -> dict[str, int]:
    """The limits of this test: with one an hour, in effect."""
    # Where there are any, nothing is answered before Django's handler: see the settings.
    monkeypatch.setattr(Person, "compares", False)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "registry.v2.rate_limit.RateLimitMiddleware"]
    settings.RATE_LIMITS_STORES = (f"file://{tmp_path}/limiter.sqlite3",)
    settings.RATE_LIMITS = {}
    found: dict[str, int] = settings.RATE_LIMITS
    return found


def assert_limited(response: Any) -> None:
    assert_refused(response, Code.TOOMANYREQUESTS, status=429)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert response.headers["X-Request-Id"]


def test_a_user(limits: dict[str, int], alice: Person, bob: Person, gitlab: Person) -> None:
    limits["user"] = 2
    for _ in range(2):
        assert alice.send("GET", TAGS).status_code == 404
    assert_limited(alice.send("GET", TAGS))
    assert_limited(alice.send("GET", f"/gitlab/v1/repositories/{APP}/tags/list/"))
    assert bob.send("GET", TAGS).status_code == 404
    for _ in range(5):  # GitLab's own jobs.
        assert gitlab.send("GET", TAGS).status_code == 404


def test_a_token(limits: dict[str, int], alice: Person) -> None:
    limits["token"] = 1
    assert alice.send("GET", TAGS).status_code == 404
    assert_limited(alice.send("GET", TAGS))
    # Another name is another token of hers.
    assert alice.send("GET", "/v2/acme/other/tags/list").status_code == 404


def test_an_address_of_nobody_known(limits: dict[str, int], alice: Person, nobody: Person) -> None:
    limits["address"] = 2
    for _ in range(2):
        assert nobody.send("GET", "/v2/").status_code == 401
    assert_limited(nobody.send("GET", "/v2/"))
    assert_limited(nobody.get("/v2/", HTTP_AUTHORIZATION="Bearer nonsense"))
    assert nobody.get("/v2/", REMOTE_ADDR="203.0.113.9").status_code == 401
    for _ in range(3):
        assert alice.send("GET", TAGS).status_code == 404


def test_an_anonymous_token_counts_for_its_address(limits: dict[str, int]) -> None:
    limits["address"] = 1
    limits["user"] = 100
    one = Person("", ("pull",))
    assert one.send("GET", TAGS).status_code == 404
    assert_limited(one.send("GET", TAGS))


def test_an_upload_under_way_is_never_refused(limits: dict[str, int], alice: Person) -> None:
    limits |= {"user": 1, "token": 1, "address": 1}
    location = start(alice)
    assert_limited(alice.send("POST", UPLOADS))
    for number in range(3):
        answer = alice.send("PATCH", location, bytes([number]) * 4)
        assert answer.status_code == 202, answer.content
        location = answer.headers["Location"]
    assert alice.send("GET", location).status_code == 204
    body = b"".join(bytes([number]) * 4 for number in range(3))
    digest = digest_of(body)
    assert_created(alice.send("PUT", f"{location}&digest={digest}"), digest)
    assert_limited(alice.send("GET", TAGS))


def test_health_is_not_counted(limits: dict[str, int], nobody: Person) -> None:
    limits["address"] = 1
    for _ in range(3):
        assert nobody.get("/-/liveness").status_code == 200

"""`GET /version` and `/metadata`, and what is answered where there is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def test_it_works(api: Api, alice: Any) -> None:
    found = api(alice, "read_user").get("version").json()
    assert set(found) == {"version", "revision"}
    more = api(alice).get("metadata").json()
    assert more["version"] == found["version"]
    assert more["enterprise"] is False
    assert more["kas"]["enabled"] is False


def test_visitors_are_refused(api: Api) -> None:
    assert_refused(api().get("version"), 401)
    assert_refused(api().get("metadata"), 401)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "nothing", "projects/1/nothing", "user/", "%2e%2e", "%00"])
def test_where_nothing_is(api: Api, alice: Any, method: str, path: str) -> None:
    for client in (api(), api(alice)):
        answer = client(method, path)
        assert_refused(answer, 404)
        assert answer.json() == {"error": "404 Not Found"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_methods_that_are_none(api: Api, alice: Any, method: str) -> None:
    answer = api(alice)(method, "version")
    assert_refused(answer, 405)
    assert "GET" in answer.headers["Allow"]

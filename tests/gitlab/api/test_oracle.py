"""What one may not see is looked up like what is not there: the same questions, the same answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.gitlab.api.conftest import Api, ApiClient, assert_refused

pytestmark = pytest.mark.django_db

NO_ID = 987_654_321


def asked(client: ApiClient, method: str, path: str) -> tuple[list[str], bytes, int]:
    """The tables that are asked, in order; the answer."""
    with CaptureQueriesContext(connection) as queries:
        answer = client(method, path, None if method in ("GET", "DELETE") else {"access_level": 30})
    tables = [
        " ".join(re.findall(r'(?:FROM|JOIN|UPDATE)\s+"?(\w+)', query["sql"]))
        for query in queries.captured_queries
    ]
    return tables, answer.content, answer.status_code


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "projects/{}"),
        ("PUT", "projects/{}"),
        ("DELETE", "projects/{}"),
        ("POST", "projects/{}/archive"),
        ("GET", "projects/{}/members"),
        ("POST", "projects/{}/members"),
        ("DELETE", "projects/{}/members/1"),
        ("GET", "projects/{}/invitations"),
        ("GET", "projects/{}/audit_events"),
        ("GET", "projects/{}/registry/repositories"),
        ("DELETE", "projects/{}/registry/repositories/1"),
        ("GET", "projects/{}/registry/repositories/1/tags"),
        ("GET", "projects/{}/registry/repositories/1/tags/v1"),
        ("DELETE", "projects/{}/registry/repositories/1/tags/v1"),
        ("DELETE", "projects/{}/registry/repositories/1/tags?name_regex_delete=.*"),
    ],
)
def test_of_a_project(
    api: Api, root: Any, mallory: Any, make_project: Any, method: str, path: str, signed_in: bool
) -> None:
    there = make_project("zeta/secret", owner=root)
    client = api(mallory) if signed_in else api()
    client.get("projects/1")
    for hidden, missing in ((there.pk, NO_ID), ("zeta%2Fsecret", "zeta%2Fnothing")):
        found = asked(client, method, path.format(hidden))
        assert found == asked(client, method, path.format(missing))
        assert found[2] in (401, 404)


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "groups/{}"),
        ("PUT", "groups/{}"),
        ("DELETE", "groups/{}"),
        ("GET", "groups/{}/projects"),
        ("GET", "groups/{}/subgroups"),
        ("GET", "groups/{}/descendant_groups"),
        ("GET", "groups/{}/members"),
        ("GET", "groups/{}/registry/repositories"),
        ("GET", "groups/{}/audit_events"),
        ("GET", "namespaces/{}"),
    ],
)
def test_of_a_group(
    api: Api, root: Any, mallory: Any, make_group: Any, method: str, path: str, signed_in: bool
) -> None:
    there = make_group("zeta", owner=root, visibility="private")
    client = api(mallory) if signed_in else api()
    client.get("projects/1")
    for hidden, missing in ((there.pk, NO_ID), ("zeta", "nothing")):
        found = asked(client, method, path.format(hidden))
        assert found == asked(client, method, path.format(missing))
        assert found[2] in (401, 404)


@pytest.mark.parametrize("signed_in", [True, False])
def test_of_an_image(
    api: Api, root: Any, mallory: Any, make_image: Any, make_project: Any, signed_in: bool
) -> None:
    make_project("zeta/secret", owner=root)
    there = make_image("zeta/secret/web", of=make_project("zeta/other", owner=root))
    client = api(mallory) if signed_in else api()
    client.get("projects/1")
    for path in ("registry/repositories/{}", "registry/repositories/{}?tags=true"):
        found = asked(client, "GET", path.format(there.pk))
        assert found == asked(client, "GET", path.format(NO_ID))
        assert found[2] == 404


def test_a_path_that_is_taken_by_something_hidden(
    api: Api, root: Any, mallory: Any, make_group: Any
) -> None:
    """That much is told, as everywhere: two can't have one name."""
    make_group("zeta", owner=root, visibility="private")
    refused = api(mallory).post("groups", {"name": "zeta", "path": "zeta"})
    assert_refused(refused, 400, "already taken")

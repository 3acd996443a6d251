"""Tokens of CI jobs at the token endpoint, beyond the matrix."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from django.test import Client

from gitlab.access_tokens import job_allowances
from gitlab.namespaces.models import Project
from tests.people import basic
from tests.refusals import assert_refused

pytestmark = pytest.mark.django_db


def ask(text: str, *scopes: str, username: str = "gitlab-ci-token") -> Any:
    return Client().get(
        "/jwt/auth",
        {"service": "container_registry", "scope": scopes},
        HTTP_AUTHORIZATION=basic(username, text),
    )


def claims_of(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    return jwt.decode(response.json()["token"], options={"verify_signature": False})


def granted(response: Any) -> dict[str, list[str]]:
    return {entry["name"]: entry["actions"] for entry in claims_of(response)["access"]}


@pytest.fixture
def app(bob: Any, make_project: Any) -> Any:
    return make_project("acme/app", developers=[bob])


def test_what_the_token_says(app: Any, bob: Any, make_job: Any) -> None:
    claims = claims_of(ask(make_job(app, bob)[1], "repository:acme/app:pull,push"))

    assert (claims["sub"], claims["auth_type"]) == ("bob", "build")
    user = jwt.decode(claims["user"], options={"verify_signature": False})["user_info"]
    assert user.pop("credential").startswith("job:")
    assert user == {"token_type": "build", "username": "bob", "user_id": bob.pk}


def test_who_has_left_the_project_pushes_no_more(app: Any, bob: Any, make_job: Any) -> None:
    _, text = make_job(app, bob)
    bob.memberships.all().delete()

    assert granted(ask(text, "repository:acme/app:pull,push,delete")) == {}


def test_it_has_its_own_name(app: Any, bob: Any, make_job: Any) -> None:
    assert_refused(ask(make_job(app, bob)[1], username="bob"), "UNAUTHORIZED", 401)


def test_elsewhere_it_only_reads_and_only_where_it_is_allowed(
    app: Any, bob: Any, make_job: Any, make_project: Any, root: Any
) -> None:
    _, text = make_job(app, bob)
    make_project("acme/closed", maintainers=[bob])
    opened = make_project("acme/opened", maintainers=[bob])
    foreign = make_project("acme/foreign")
    make_project("acme/seen", visibility="public")
    for project in (opened, foreign):
        job_allowances.add(root, project, app)

    names = ("closed", "opened", "foreign", "seen")
    scopes = [f"repository:acme/{name}:pull,push,delete" for name in names]
    assert granted(ask(text, *scopes)) == {"acme/opened": ["pull"], "acme/seen": ["pull"]}


def test_it_makes_no_project(app: Any, bob: Any, make_job: Any, make_group: Any) -> None:
    make_group("zeta", developers=[bob])
    _, text = make_job(app, bob)

    for name in ("bob/new", "zeta/new", "acme/new"):
        assert granted(ask(text, f"repository:{name}:pull,push")) == {}
    assert Project.objects.count() == 1


def test_it_costs_two_queries_more_at_most(
    app: Any, bob: Any, make_job: Any, make_project: Any, django_assert_max_num_queries: Any
) -> None:
    _, text = make_job(app, bob)
    for number in range(10):
        make_project(f"acme/app{number}", visibility="public")
    scopes = [f"repository:acme/app{number}/image:pull" for number in range(10)]
    scopes.append("repository:acme/app/image:pull,push")
    ask(text, *scopes)

    with django_assert_max_num_queries(8):
        assert len(granted(ask(text, *scopes))) == 11

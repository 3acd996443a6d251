"""Deploy tokens at the token endpoint, beyond the matrix."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from django.test import Client

from gitlab.access_tokens.models import DeployToken
from gitlab.audit.models import AuditEvent
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project
from tests.people import basic
from tests.refusals import assert_refused

pytestmark = pytest.mark.django_db


def ask(username: str, text: str, *scopes: str) -> Any:
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


def test_what_the_token_says(make_project: Any, make_deploy_token: Any) -> None:
    token, text = make_deploy_token(make_project("acme/app"), username="ci")

    claims = claims_of(ask("ci", text, "repository:acme/app/web:pull,push"))

    assert (claims["sub"], claims["auth_type"]) == (
        f"gitlab+deploy-token-{token.pk}",
        "deploy_token",
    )
    user = jwt.decode(claims["user"], options={"verify_signature": False})
    assert user["user_info"] == {
        "token_type": "deploy_token",
        "username": "ci",
        "deploy_token_id": token.pk,
        "credential": f"deploy_token:{token.pk}",
    }
    assert DeployToken.objects.get().last_used_at is not None


def test_a_groups_token_reaches_what_is_below_and_nothing_else(
    make_group: Any, make_project: Any, make_deploy_token: Any
) -> None:
    make_project("acme/tools/app")
    make_project("acme/app")
    make_project("zeta/app")
    token, text = make_deploy_token(make_group("acme/tools/deep").parent)
    make_project("acme/tools/deep/app")

    response = ask(
        token.username,
        text,
        "repository:acme/tools/app:pull,push",
        "repository:acme/tools/deep/app:pull,push",
        "repository:acme/app:pull,push",
        "repository:zeta/app:pull",
    )

    assert granted(response) == {
        "acme/tools/app": ["pull", "push"],
        "acme/tools/deep/app": ["pull", "push"],
    }


def test_its_own_name_stands_beside_it(make_project: Any, make_deploy_token: Any) -> None:
    app = make_project("acme/app")
    token, text = make_deploy_token(app)
    chosen, text_of_chosen = make_deploy_token(app, username="ci")

    for name, secret in (
        ("alice", text),
        (f"{token.username}0", text),
        (f"gitlab+deploy-token-{chosen.pk}", text_of_chosen),
        ("CI", text_of_chosen),
    ):
        assert_refused(ask(name, secret), "UNAUTHORIZED", 401)
    assert ask("ci", text_of_chosen).status_code == 200


def test_an_expired_one_is_refused(make_project: Any, make_deploy_token: Any) -> None:
    token, text = make_deploy_token(make_project("acme/app"), expired=True)

    assert_refused(ask(token.username, text), "UNAUTHORIZED", 401)


def test_one_that_nobody_has_counts_as_a_guess(settings: Any, db: None) -> None:
    settings.FAILED_LOGINS_PER_ADDRESS = 2
    for number in range(2):
        assert ask("gitlab+deploy-token-1", f"gldt-guess-{number}").status_code == 401

    assert_refused(ask("gitlab+deploy-token-1", "gldt-guess-9"), "TOOMANYREQUESTS", 429)


def test_it_makes_no_project(make_group: Any, make_deploy_token: Any) -> None:
    token, text = make_deploy_token(make_group("acme"))

    response = ask(token.username, text, "repository:acme/new/web:pull,push")

    assert granted(response) == {}
    assert "no group, user or project here in which you may push acme/new" in str(
        claims_of(response)
    )
    assert not Project.objects.exists()


def test_the_image_that_it_pushes_is_recorded_as_its(
    make_project: Any, make_deploy_token: Any
) -> None:
    token, text = make_deploy_token(make_project("acme/app"))

    ask(token.username, text, "repository:acme/app/web:pull,push")

    assert ContainerRepository.objects.get().path == "acme/app/web"
    event = AuditEvent.objects.get(action="container_repository.create")
    assert (event.actor, event.actor_name) == (None, "deploy token test")


def test_it_costs_no_query_more_than_a_persons(
    make_project: Any, make_deploy_token: Any, django_assert_max_num_queries: Any
) -> None:
    scopes = []
    app = make_project("acme/app")
    for number in range(10):
        make_project(f"acme/app{number}")
        scopes.append(f"repository:acme/app{number}/image:pull,push")
    token, text = make_deploy_token(app.namespace)
    ask(token.username, text, *scopes)

    with django_assert_max_num_queries(6):
        assert len(granted(ask(token.username, text, *scopes))) == 10


@pytest.mark.parametrize("header", ["HTTP_PRIVATE_TOKEN", "HTTP_AUTHORIZATION"])
def test_the_api_knows_it_not(header: str, make_project: Any, make_deploy_token: Any) -> None:
    app = make_project("acme/app", visibility="public")
    _, text = make_deploy_token(app)
    value = f"Bearer {text}" if header == "HTTP_AUTHORIZATION" else text

    response = Client().get(f"/api/v4/projects/{app.pk}", **{header: value})

    assert response.status_code == 401

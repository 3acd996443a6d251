"""What docs/credentials.md says of each provider, with ID tokens as these write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.test import Client

from gitlab.trusted_issuers import conditions
from tests.people import basic
from tests.played_issuer import PlayedIssuer, public_jwk

pytestmark = pytest.mark.django_db
DOCS = Path(__file__).parents[3] / "docs" / "credentials.md"


class Provider(NamedTuple):
    """Its issuer, what its tokens say, and what those of strangers say otherwise."""

    issuer: str
    claims: dict[str, Any]
    strangers: list[dict[str, Any]]
    headers: dict[str, Any] = {}


PROVIDERS = {
    "GitHub Actions": Provider(
        "https://token.actions.githubusercontent.com",
        {
            "sub": "repo:octo/app:ref:refs/heads/main",
            "ref": "refs/heads/main",
            "sha": "5" * 40,
            "repository": "octo/app",
            "repository_owner": "octo",
            "repository_owner_id": "65",
            "repository_id": "74",
            "repository_visibility": "private",
            "actor": "octocat",
            "actor_id": "12",
            "run_id": "9876543210",
            "run_attempt": "1",
            "workflow": "image",
            "head_ref": "",
            "base_ref": "",
            "event_name": "push",
            "ref_protected": "true",
            "ref_type": "branch",
            "workflow_ref": "octo/app/.github/workflows/image.yml@refs/heads/main",
            "job_workflow_ref": "octo/app/.github/workflows/image.yml@refs/heads/main",
            "runner_environment": "github-hosted",
        },
        [
            {"sub": "repo:evil/app:ref:refs/heads/main", "repository": "evil/app"},
            {"ref": "refs/pull/5/merge", "sub": "repo:octo/app:pull_request"},
            {"ref": "refs/heads/main2"},
        ],
    ),
    "GitLab CI": Provider(
        "https://gitlab.com",
        {
            "sub": "project_path:octo/app:ref_type:branch:ref:main",
            "namespace_id": "72",
            "namespace_path": "octo",
            "project_id": "20",
            "project_path": "octo/app",
            "user_id": "1",
            "user_login": "octocat",
            "user_access_level": "developer",
            "groups_direct": ["octo", "octo/tools"],
            "pipeline_id": "574",
            "pipeline_source": "push",
            "job_id": "302",
            "ref": "main",
            "ref_type": "branch",
            "ref_path": "refs/heads/main",
            "ref_protected": "true",
            "runner_id": 1,
            "runner_environment": "gitlab-hosted",
            "sha": "5" * 40,
            "project_visibility": "public",
        },
        [
            {"project_path": "evil/app"},
            {"ref": "other"},
            {"ref_protected": "false"},
        ],
    ),
    "Kubernetes": Provider(
        "https://oidc.cluster.example.com/id/1",
        {
            "sub": "system:serviceaccount:builds:pusher",
            "repository": None,
            "ref": None,
            "kubernetes.io": {
                "namespace": "builds",
                "pod": {"name": "build", "uid": "1"},
                "serviceaccount": {"name": "pusher", "uid": "2"},
            },
        },
        [
            {"sub": "system:serviceaccount:builds:default"},
            {"sub": "system:serviceaccount:evil:pusher"},
        ],
        {"typ": None},
    ),
}


def documented(name: str) -> dict[str, str]:
    """The conditions that stand in the documentation: the first block of its section."""
    section = DOCS.read_text().partition(f"\n### {name}\n")[2]
    block = re.search(r"\n```\n(.*?)\n```\n", section, re.DOTALL)
    assert block
    return conditions.parse(block[1])


@pytest.mark.parametrize("name", PROVIDERS)
def test_as_documented(
    name: str, app: Any, make_trust: Any, issuer: PlayedIssuer, settings: Any
) -> None:
    provider, asked = PROVIDERS[name], documented(name)
    assert conditions.check(provider.issuer, asked) == asked
    issuer.keys = [public_jwk("RS256", alg="RS256")]
    trust = make_trust(app, conditions=asked)
    # Kubernetes writes a list.
    audience = [settings.EXTERNAL_URL] if name == "Kubernetes" else settings.EXTERNAL_URL

    def login(**claims: Any) -> int:
        text = issuer.token(
            audience, algorithm="RS256", headers=provider.headers, **provider.claims | claims
        )
        answer = Client().get(
            "/jwt/auth",
            {"service": "container_registry"},
            HTTP_AUTHORIZATION=basic(trust.username, text),
        )
        return answer.status_code

    assert login() == 200
    assert [login(**stranger) for stranger in provider.strangers] == [401] * len(provider.strangers)

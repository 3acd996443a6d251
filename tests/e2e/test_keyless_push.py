"""A pipeline without a secret: docker signs in with an ID token and pushes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.clients import Docker, Refused
from tests.e2e.installation import Installation, wait_until
from tests.played_issuer import PlayedIssuer, public_jwk

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]


@pytest.fixture(scope="module")
def issuer() -> Iterator[PlayedIssuer]:
    """As GitHub's: with RSA."""
    with PlayedIssuer().serving() as played:
        played.keys = [public_jwk("RS256")]
        yield played


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that lets issuers be on loopback."""
    made = Installation(
        tmp_path_factory.mktemp("keyless") / "node",
        BERTH__PROCESSES="1",
        BERTH__ISSUER_NETWORKS="127.0.0.1",
    )
    made.start()
    yield made
    made.discard()


@pytest.fixture(scope="module")
def app(site: Installation) -> tuple[int, str]:
    """Alice's project ``alice/app``, and her token for the API."""
    site.create_user("alice")
    project, token = site.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.access_tokens import services as tokens\n"
        "from gitlab.namespaces import services\n"
        "alice = User.objects.get(username='alice')\n"
        "app = services.create_project(alice, namespace=alice.namespace, path='app')\n"
        "answer = [app.pk, tokens.create(alice, name='api', scopes=['api'])[1]]"
    )
    return project, token


@pytest.fixture
def trust(site: Installation, issuer: PlayedIssuer, app: tuple[int, str]) -> Iterator[Any]:
    """Alice trusts the main branch of octo/app to push ``alice/app/web``; her token for the API."""
    project, token = app
    headers = {"PRIVATE-TOKEN": token}
    made = httpx.post(
        f"{site.url}/api/v4/projects/{project}/trusted_issuers",
        headers=headers,
        json={
            "name": "octo",
            "issuer": issuer.url,
            "conditions": {"repository": "octo/app", "ref": "refs/heads/main"},
            "actions": ["pull", "push"],
            "images": "web",
        },
    )
    assert made.status_code == 201, made.text
    here = f"{site.url}/api/v4/projects/{project}/trusted_issuers/{made.json()['id']}"
    yield made.json() | {"here": here, "token": token}
    httpx.delete(here, headers=headers)  # Where the test itself has not.


def test_docker_pushes_with_an_id_token(
    docker: Docker, site: Installation, issuer: PlayedIssuer, trust: dict[str, Any]
) -> None:
    job = issuer.token(trust["audience"], algorithm="RS256")
    image = images.tiny("keyless")
    name, other = (f"{site.registry}/alice/app/{path}:1" for path in ("web", "api"))

    assert "Login Succeeded" in docker.login(site.registry, trust["username"], job)
    docker.load(image, name)
    docker("push", "--quiet", name)
    docker("rmi", name)
    docker("pull", "--quiet", name)
    docker.load(image, other)
    with pytest.raises(Refused):
        docker("push", "--quiet", other)
    branch = issuer.token(trust["audience"], algorithm="RS256", ref="refs/heads/other")
    with pytest.raises(Refused):
        docker.login(site.registry, trust["username"], branch)


def test_an_exchange_counts_once_and_ends_with_its_trust(
    site: Installation, issuer: PlayedIssuer, trust: dict[str, Any]
) -> None:
    given = {
        "trusted_issuer_id": trust["id"],
        "id_token": issuer.token(trust["audience"], algorithm="RS256"),
        "scope": "repository:alice/app/web:pull,push",
    }
    exchange = f"{site.url}/api/v4/registry/oidc_token_exchange"
    answer = httpx.post(exchange, data=given)
    assert answer.status_code == 200, answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def upload() -> int:
        return httpx.post(
            f"{site.registry_url}/v2/alice/app/web/blobs/uploads/", headers=bearer
        ).status_code

    assert upload() == 202
    assert httpx.post(exchange, data=given).status_code == 401
    gone = httpx.delete(trust["here"], headers={"PRIVATE-TOKEN": trust["token"]})
    assert gone.status_code == 204
    # The worker tells the registry; from then on each of its processes refuses.
    wait_until(lambda: upload() == 401, timeout=30)
    assert {upload() for _ in range(5)} == {401}

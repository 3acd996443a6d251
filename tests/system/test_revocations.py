"""A right that was taken away, between real processes: the next request is refused."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.installation import Installation, wait_until

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("revocations")]

SCOPE = "repository:alice/app:pull,push"
TAGS = "/v2/alice/app/tags/list"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("revocations") / "node")
    installation.start()
    yield installation
    installation.discard()


def status(site: Installation, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{site.registry_url}{TAGS}", headers=headers).status_code


def test_from_a_revoked_token_to_the_next_one(site: Installation) -> None:
    """The worker tells the registry; other tokens go on; whoever asks anew gets on."""
    texts = site.run_python(
        "from tests.people import person\n"
        "from gitlab.access_tokens import services\n"
        "alice = person('alice')\n"
        "one, first = services.create(alice, name='one', scopes=['api'])\n"
        "two, second = services.create(alice, name='two', scopes=['api'])\n"
        "answer = [first, second, one.pk]"
    )
    made = []
    for text in texts[:2]:
        answer = httpx.get(
            f"{site.url}/jwt/auth",
            params={"service": "container_registry", "scope": SCOPE},
            auth=("alice", text),
        )
        made.append(answer.json()["token"])
    assert [status(site, token) for token in made] == [404, 404]
    site.manage("tokens", "revoke", str(texts[2]))
    wait_until(lambda: status(site, made[0]) == 401, timeout=30)
    assert status(site, made[1]) == 404
    # Every process of the registry knows it by its next request.
    assert {status(site, made[0]) for _ in range(10)} == {401}

"""A new key while clients pull: no request fails, and the old key's tokens end with its
certificate.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.e2e.components import free_port
from tests.e2e.installation import Installation, wait_until
from tests.faults.load import Registry

pytestmark = [
    pytest.mark.system,
    pytest.mark.engineless,
    pytest.mark.xdist_group("key rotation"),
]

NAME, SCOPE = "root/rotated", "repository:root/rotated:pull"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Installation]]:
    """GitLab's node and the registry's, each with its own files."""
    folder = tmp_path_factory.mktemp("rotation")
    settings = {
        "BERTH__PROCESSES": "1",
        "EXTERNAL_URL": f"http://localhost:{free_port()}",
        "REGISTRY_EXTERNAL_URL": f"http://localhost:{free_port()}",
    }
    registry = Installation(folder / "registry", **settings, BERTH__ROLES="registry")
    registry.copy_prepared()
    registry.manage("prepare")
    api = {"GITLAB_RAILS__REGISTRY_API_URL": registry.registry_url}
    gitlab = Installation(folder / "gitlab", **settings, **api, BERTH__ROLES="web")
    (gitlab.home / "keys").mkdir(parents=True)
    for name in ("gitlab-registry.key", "gitlab-registry.crt"):
        (registry.home / "keys" / name).rename(gitlab.home / "keys" / name)
    (registry.home / "keys" / "gitlab-registry.crt").write_bytes(
        (gitlab.home / "keys" / "gitlab-registry.crt").read_bytes()
    )
    try:
        registry.start()
        gitlab.start()
        yield gitlab, registry
    finally:
        gitlab.discard()
        registry.discard()


class Pulls:
    """Somebody who pulls all the time, each time with a fresh token."""

    def __init__(self, gitlab: Installation) -> None:
        self.gitlab = gitlab
        self.statuses: list[int | str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pulls:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.statuses.append(pull(self.gitlab, self.gitlab.token(SCOPE)))
            except httpx.HTTPError as error:
                self.statuses.append(repr(error))

    def some_more(self) -> None:
        """Wait until it has pulled some more."""
        count = len(self.statuses)
        wait_until(lambda: len(self.statuses) > count + 3, timeout=60)


def pull(gitlab: Installation, token: str) -> int:
    """The status of a manifest's pull."""
    return httpx.get(
        f"{gitlab.registry_url}/v2/{NAME}/manifests/1",
        headers={"Authorization": f"Bearer {token}", "Accept": "*/*"},
        timeout=60,
        verify=gitlab.verify,
    ).status_code


def keys(node: Installation, *arguments: str) -> Any:
    return json.loads(node.manage("keys", *arguments, "--format", "json"))


def trusted(node: Installation) -> list[str]:
    return [key["key_id"] for key in keys(node, "list")]


def test_a_new_key_while_clients_pull(
    nodes: tuple[Installation, Installation], tmp_path: Path
) -> None:
    gitlab, registry = nodes
    status, _ = Registry(gitlab, (NAME,)).push_image(NAME, "1", [b"a layer"])
    assert status == 201
    (old,) = trusted(registry)
    token_of_the_old = gitlab.token(SCOPE)
    new = tmp_path / "new"
    with Pulls(gitlab) as pulls:
        pulls.some_more()
        registry.manage("generate_keys", "--out", str(new))

        assert keys(registry, "trust", str(new / "gitlab-registry.crt"))["added"]
        pulls.some_more()
        first, fresh = trusted(registry)
        assert first == old
        assert pull(gitlab, token_of_the_old) == 200

        assert keys(gitlab, "use", str(new))["key_id"] == fresh
        pulls.some_more()
        token_of_the_new = gitlab.token(SCOPE)
        assert jwt.get_unverified_header(token_of_the_new)["kid"] == fresh
        for token in (token_of_the_old, token_of_the_new):
            assert pull(gitlab, token) == 200

        assert keys(registry, "distrust", old) == {"trusted": [fresh]}
        pulls.some_more()
        # Each process looks at the certificates every two seconds.
        wait_until(lambda: {pull(gitlab, token_of_the_old) for _ in range(8)} == {401}, timeout=60)
        assert pull(gitlab, token_of_the_new) == 200
        assert keys(gitlab, "distrust", old) == {"trusted": [fresh]}
        pulls.some_more()
    assert set(pulls.statuses) == {200}
    # What a restart finds is whole as well.
    for node in nodes:
        assert node.manage("prepare") == ""
    assert [key["signs"] for key in keys(gitlab, "list")] == [True]
    mode = (gitlab.home / "keys" / "gitlab-registry.key").stat().st_mode
    assert mode & 0o777 == 0o600


def test_what_is_refused_is_said_in_a_line(
    nodes: tuple[Installation, Installation], tmp_path: Path
) -> None:
    _, registry = nodes
    with pytest.raises(AssertionError, match="signs nothing") as caught:
        registry.manage("keys", "use", str(tmp_path))
    assert "Traceback" not in str(caught.value)
    content = (registry.home / "keys" / "gitlab-registry.crt").read_text()
    with pytest.raises(AssertionError, match=r"registry\.internal_certificate has the contents"):
        registry.manage("keys", "trust", "a.crt", REGISTRY__INTERNAL_CERTIFICATE=content)

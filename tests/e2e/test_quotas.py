"""docker pushes into a group with a quota, and shows what the registry says."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e import images
from tests.e2e.clients import Docker, Refused
from tests.e2e.conftest import Person
from tests.e2e.installation import Installation
from tests.e2e.test_docker import assert_stored, login, push

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]


def test_docker_says_what_is_used_and_whom_to_ask(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    login(docker, berth, alice)
    small = images.tiny("small")
    push(docker, berth, small, project)
    headers = {"PRIVATE-TOKEN": berth.api_token(alice.username, "api")}
    address = f"{berth.url}/api/v4/projects/{project.replace('/', '%2F')}/quota"
    set_ = httpx.put(address, json={"max_bytes": 1_000_000}, headers=headers)
    assert set_.status_code == 200, set_.text
    (limit,) = set_.json()["limits"]
    assert 0 < limit["used_bytes"] < 1_000_000

    with pytest.raises(Refused) as refused:
        push(docker, berth, images.large(5), project, "2")
    said = str(refused.value)
    print(said)
    assert f"denied: the storage quota of {project} is reached" in said
    assert "of 1 MB are used" in said
    assert f"or ask an owner of {project}" in said
    assert_stored(berth, small, project)

    set_ = httpx.put(address, json={"max_bytes": 100_000_000}, headers=headers)
    assert set_.status_code == 200, set_.text
    push(docker, berth, images.large(5), project, "2")

"""How many projects the pushes of one person create within an hour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.authorization.credentials.password import identity_of
from gitlab.authorization.new_projects import TooManyProjects
from gitlab.namespaces.models import Project
from tokens.access import Access

pytestmark = pytest.mark.django_db
ALL = frozenset(["read", "create", "delete", "admin"])


@pytest.fixture(autouse=True)
def _limited(settings: Any, tmp_path: Path) -> None:
    settings.RATE_LIMITS_STORES = (f"file://{tmp_path}/limiter.sqlite3",)
    settings.PROJECTS_PER_HOUR = 2


def push(user: Any, name: str) -> None:
    identity = identity_of(user, "personal_access_token", ALL)
    asked = [Access.repository(name, "pull", "push")]
    authorizer = GitLabAuthorizer()
    authorizer.record(identity, authorizer.authorize(identity, asked))


def test_more_than_may_are_refused(alice: Any, bob: Any) -> None:
    push(alice, "alice/one")
    push(alice, "alice/two")
    with pytest.raises(TooManyProjects, match="2 projects an hour may come of pushes") as refused:
        push(alice, "alice/three")
    assert 60 < refused.value.retry_after <= 1800
    push(alice, "alice/two/web")
    push(bob, "bob/one")
    assert set(Project.objects.values_list("full_path", flat=True)) == {
        "alice/one",
        "alice/two",
        "bob/one",
    }


def test_docker_is_told(client: Any, alice: Any, make_token: Any, settings: Any) -> None:
    text = make_token(alice, "write_registry", "read_registry")
    settings.PROJECTS_PER_HOUR = 1
    push(alice, "alice/one")
    answer = client.get(
        "/jwt/auth?service=container_registry&scope=repository:alice/two:push,pull",
        headers={"Authorization": _basic("alice", text)},
    )
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert answer.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert not Project.objects.filter(full_path="alice/two").exists()


def test_without_a_limit(alice: Any, settings: Any) -> None:
    settings.PROJECTS_PER_HOUR = 0
    for number in range(4):
        push(alice, f"alice/app{number}")


def _basic(name: str, text: str) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{name}:{text}".encode()).decode()

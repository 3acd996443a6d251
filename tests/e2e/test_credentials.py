"""docker signs in, pushes and pulls with each kind of token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e import images
from tests.e2e.clients import Docker, Refused
from tests.e2e.conftest import Person
from tests.e2e.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]

MADE_BY = {
    "deploy": """
from gitlab.access_tokens import deploy_tokens
row, text = deploy_tokens.create(alice, project, name="e2e", scopes=scopes)
answer = [row.username, text]
""",
    "project": """
from gitlab.access_tokens import resource_tokens
row, text = resource_tokens.create(alice, project, name="e2e", scopes=scopes, access_level=30)
answer = ["whoever", text]
""",
    "job": """
from gitlab.access_tokens import job_tokens
runner, _ = job_tokens.create_runner(alice, project, name="e2e")
answer = ["gitlab-ci-token", job_tokens.start_job(runner, name="e2e")[1]]
""",
}


@pytest.mark.parametrize("kind", MADE_BY)
def test_it_pushes_and_pulls_its_project_and_no_other(
    kind: str, docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    username, text = _credential(berth, kind, project)
    image = images.tiny(f"credentials-{kind}")
    name, other = (f"{berth.registry}/{path}:1" for path in (project, f"{project}-other"))

    assert "Login Succeeded" in docker.login(berth.registry, username, text)
    docker.load(image, name)
    docker("push", "--quiet", name)
    docker("rmi", name)
    docker("pull", "--quiet", name)
    docker.load(image, other)
    with pytest.raises(Refused):
        docker("push", "--quiet", other)


def _credential(berth: Installation, kind: str, path: str) -> Any:
    return berth.run_python(
        f"""
from gitlab.accounts.models import User
from gitlab.namespaces import services
alice = User.objects.get(username="alice")
project = services.create_project(
    alice, namespace=alice.namespace, path={path.rpartition("/")[2]!r}
)
scopes = ["read_registry", "write_registry"]
{MADE_BY[kind]}"""
    )

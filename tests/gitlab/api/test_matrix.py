"""The whole matrix of `tests/data/authz-matrix-api.json`: who may do what to images by the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitlab.access_tokens import job_tokens
from gitlab.container_registry.models import ContainerRepository
from tests.gitlab import factories
from tests.gitlab.api.conftest import ApiClient
from tests.gitlab.matrix_cells import engines_of
from tests.gitlab.shared_rows import shared_rows
from tests.people import person

pytestmark = pytest.mark.django_db

MATRIX = json.loads(
    (Path(__file__).parents[2] / "data" / "authz-matrix-api.json").read_text(encoding="utf-8")
)
ACTORS = {actor["id"]: actor for actor in MATRIX["actors"]}


def _accepted(cell: dict[str, Any]) -> set[int]:
    return {cell["expect"]["status"], *cell["expect"]["also"]}


def _parameters() -> list[Any]:
    engines = engines_of(MATRIX["cells"])
    kinds = [(cell["visibility"], cell["registry_access_level"]) for cell in MATRIX["cells"]]
    return [
        # With those of the same project, which is made once for them.
        pytest.param(
            kind,
            cell,
            id=cell["id"],
            marks=[pytest.mark.xdist_group(f"API {' '.join(kind)}"), *engines[cell["id"]]],
        )
        for kind, cell in zip(kinds, MATRIX["cells"], strict=True)
    ]


@pytest.fixture(scope="module")
def image_pk(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[int]:
    """An image of Acme's project of a visibility and an access level, the same for all of these."""
    visibility, registry_access = request.param
    with shared_rows(django_db_blocker) as make:
        made = make(
            lambda: factories.image(
                "acme/app/web",
                of=factories.project(
                    "acme/app", visibility=visibility, registry_access=registry_access
                ),
            )
        )
        yield made.pk


def _job_token(project: Any, user: Any) -> str:
    """Of a job of the project, started by the user, who develops there."""
    factories._add_members(project, {"developers": [user]})
    runner, _ = job_tokens.create_runner(person("alice"), project, name="runner")
    return job_tokens.start_job(runner, name="build", username=user.username)[1]


def _client(actor: dict[str, Any], user: Any, project: Any) -> ApiClient:
    if actor["kind"] == "none":
        return ApiClient()
    if actor["kind"] == "deploy":
        return ApiClient("gldt-unknown")
    if actor["kind"] == "job":
        of = project if actor["own"] else factories.project("acme/other", visibility="private")
        return ApiClient(HTTP_JOB_TOKEN=_job_token(of, user))
    return ApiClient(factories.token(user, "api"))


def _ask(client: ApiClient, action: str, project: Any, image: Any) -> Any:
    here = f"projects/{project.pk}"
    images = f"{here}/registry/repositories"
    tags = f"{images}/{image.pk}/tags"
    policy = {"container_expiration_policy_attributes": {"enabled": True, "keep_n": 1}}
    asked: dict[str, tuple[Any, ...]] = {
        "list repositories": ("GET", images),
        "get repository": ("GET", f"registry/repositories/{image.pk}"),
        "delete tag": ("DELETE", f"{tags}/v1"),
        "delete repository": ("DELETE", f"{images}/{image.pk}"),
        "change registry visibility": ("PUT", here, {"container_registry_access_level": "private"}),
        "bulk delete tags": ("DELETE", f"{tags}?name_regex_delete=.*"),
        "create project deploy token": (
            "POST",
            f"{here}/deploy_tokens",
            {"name": "x", "scopes": ["read_registry"]},
        ),
        "list tags": ("GET", tags),
        "set cleanup policy": ("PUT", here, policy),
        "get tag": ("GET", f"{tags}/v1"),
    }
    return client(*asked[action.partition(" (")[0]])


@pytest.mark.parametrize(("image_pk", "cell"), _parameters(), indirect=["image_pk"], scope="module")
def test_who_may_do_what(
    image_pk: int, cell: dict[str, Any], played: Any, enqueued: list[Any]
) -> None:
    actor = ACTORS[cell["actor"]]
    image = ContainerRepository.objects.select_related("project").get(pk=image_pk)
    project = image.project
    played.push("acme/app/web", "v1")
    user = person(
        "bob", external=actor.get("external", False), is_superuser=actor.get("admin", False)
    )
    if actor["role"]:
        factories._add_members(project, {f"{actor['role']}s": [user]})
    client = _client(actor, user, project)
    if actor["id"].startswith("blocked"):
        user.state = "blocked"
        user.save()

    answer = _ask(client, cell["action"], project, image)

    assert answer.status_code in _accepted(cell), answer.content
    if cell["expect"]["status"] >= 400:
        assert {"message", "error"} & set(answer.json())
        assert "v1" in played.now["acme/app/web"]

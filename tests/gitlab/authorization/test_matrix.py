"""The whole matrix of `tests/data/authz-matrix.json` at the token endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.test import Client

from gitlab.access_tokens import job_allowances, job_tokens
from gitlab.namespaces.models import Project
from tests.gitlab import factories
from tests.gitlab.matrix_cells import engines_of
from tests.gitlab.shared_rows import shared_rows
from tests.people import basic, person

MATRIX = json.loads(
    (Path(__file__).parents[2] / "data" / "authz-matrix.json").read_text(encoding="utf-8")
)
ACTORS = {actor["id"]: actor for actor in MATRIX["actors"]}
WAITING = {
    "twofa": "two factors come later",
}


def _waits_for(cell: dict[str, Any]) -> str | None:
    """Why a cell can't hold yet: a credential that nobody knows is refused with 401."""
    actor = ACTORS[cell["actor"]]
    if actor["id"].startswith("twofa"):
        return WAITING["twofa"]
    if actor["kind"] in WAITING and cell["expect"]["status"] != 401:
        return WAITING[actor["kind"]]
    return None


def _kind(cell: dict[str, Any]) -> tuple[str, str]:
    """The visibility and the access level of its project. Cells that are about none have dashes."""
    visibility, access = cell["visibility"], cell["registry_access_level"]
    return ("private", "enabled") if "-" in (visibility, access) else (visibility, access)


def _parameters() -> list[Any]:
    engines = engines_of(MATRIX["cells"])
    return [
        pytest.param(
            _kind(cell),
            cell,
            id=cell["id"],
            marks=[
                # With those of the same project, which is made once for them.
                pytest.mark.xdist_group(f"matrix {' '.join(_kind(cell))}"),
                *engines[cell["id"]],
                *([pytest.mark.xfail(reason=reason)] if (reason := _waits_for(cell)) else []),
            ],
        )
        for cell in MATRIX["cells"]
    ]


@pytest.fixture(scope="module")
def project_pk(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[int]:
    """Acme's project of a visibility and an access level, the same for all cells of this kind."""
    visibility, registry_access = request.param
    with shared_rows(django_db_blocker) as make:
        made = make(
            lambda: factories.project(
                "acme/app", visibility=visibility, registry_access=registry_access
            )
        )
        yield made.pk


_DEPLOY_SCOPES = {
    "dt_read": ["read_registry"],
    "dt_write": ["write_registry"],
    "dt_read_repository": ["read_repository"],
}


def _deploy_token(name: str, project: Any) -> tuple[Any, str]:
    owner = {"dt_group_rw": project.namespace}.get(name, project)
    if name == "dt_other_rw":
        owner = factories.project("acme/other")
    return factories.deploy_token(
        owner, *_DEPLOY_SCOPES.get(name, []), revoked=name == "dt_revoked"
    )


def _job_token(name: str, user: Any, project: Any) -> str:
    if name in ("job_own", "job_finished"):
        factories._add_members(project, {"developers": [user]})
        job, text = factories.job(project, user)
        if name == "job_finished":
            job_tokens.finish_job(job.runner, job.pk, "success")
        return text
    other = factories.project("zeta/other", developers=[user])
    if name != "job_other_member_not_allowlisted":
        root = person("root", is_superuser=True)
        job_allowances.add(root, project, other)
    return factories.job(other, user)[1]


def _credentials(actor: dict[str, Any], user: Any, project: Any) -> dict[str, str]:
    kind, name = actor["kind"], actor["id"]
    if kind == "none":
        return {}
    if kind == "deploy":
        token, text = _deploy_token(name, project)
        return {"HTTP_AUTHORIZATION": basic(token.username, text)}
    if kind == "job":
        return {"HTTP_AUTHORIZATION": basic("gitlab-ci-token", _job_token(name, user, project))}
    if name.startswith("pat_expired"):
        return {"HTTP_AUTHORIZATION": basic("whoever", factories.token(user, "api", expired=True))}
    if name.startswith("pat_"):
        scopes = name.removeprefix("pat_").rpartition("_")[0].split("+")
        return {"HTTP_AUTHORIZATION": basic("whoever", factories.token(user, *scopes))}
    return {"HTTP_AUTHORIZATION": basic(user.username)}


def _scopes(action: str) -> list[str]:
    if action == "login without scope":
        return []
    return [action if action.startswith("registry:") else f"repository:acme/app:{action}"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("project_pk", "cell"), _parameters(), indirect=["project_pk"], scope="module"
)
def test_who_may_do_what(project_pk: int, cell: dict[str, Any]) -> None:
    actor = ACTORS[cell["actor"]]
    project = Project.objects.get(pk=project_pk)
    user = person(
        "bob", external=actor.get("external", False), is_superuser=actor.get("admin", False)
    )
    if actor["role"]:
        factories._add_members(project, {f"{actor['role']}s": [user]})
    if actor["id"].startswith("blocked"):
        user.state = "blocked"
        user.save()

    response = Client().get(
        "/jwt/auth",
        {"service": "container_registry", "scope": _scopes(cell["action"])},
        **_credentials(actor, user, project),
    )

    expected = cell["expect"]
    assert response.status_code == expected["status"], response.content
    if response.status_code != 200:
        assert response.json()["errors"][0]["code"] == expected["code"]
        return
    claims = jwt.decode(response.json()["token"], options={"verify_signature": False})
    granted = [action for entry in claims["access"] for action in entry["actions"]]
    assert granted == expected["granted"]

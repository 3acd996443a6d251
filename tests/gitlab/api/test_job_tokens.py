"""`JOB-TOKEN`: what a CI job may ask, of its own project alone."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.access_tokens import job_tokens
from tests.gitlab.api.conftest import ApiClient, assert_refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(alice: Any, bob: Any, app: Any) -> str:
    """Of a job of acme/app that bob has started."""
    runner, _ = job_tokens.create_runner(alice, app, name="runner")
    return job_tokens.start_job(runner, name="build", username="bob")[1]


@pytest.mark.parametrize("how", ["JOB-TOKEN", "PRIVATE-TOKEN", "bearer", "query"])
def test_it_works(token: str, app: Any, web: Any, played: Any, how: str) -> None:
    played.push("acme/app/web", "v1")
    sent: dict[str, Any] = {
        "JOB-TOKEN": {"HTTP_JOB_TOKEN": token},
        "PRIVATE-TOKEN": {"HTTP_PRIVATE_TOKEN": token},
        "bearer": {"HTTP_AUTHORIZATION": f"Bearer {token}"},
        "query": {"QUERY_STRING": f"job_token={token}"},
    }[how]
    here = f"projects/{app.pk}/registry/repositories"
    for path in (here, f"{here}/{web.pk}/tags", f"registry/repositories/{web.pk}"):
        assert ApiClient().get(path, **sent).status_code == 200
    assert ApiClient().delete(f"{here}/{web.pk}/tags/v1", **sent).status_code == 200
    assert played.calls == [("delete", "acme/app/web", "v1", "bob")]


def test_nothing_else(token: str, app: Any, web: Any, played: Any, make_project: Any) -> None:
    client = ApiClient(HTTP_JOB_TOKEN=token)
    here = f"projects/{app.pk}"
    for method, path in (
        ("GET", "user"),
        ("GET", "projects"),
        ("GET", here),
        ("PUT", here),
        ("GET", "personal_access_tokens/self"),
        ("DELETE", "personal_access_tokens/self"),
        ("POST", "user/personal_access_tokens"),
        ("DELETE", f"{here}/registry/repositories/{web.pk}"),
        ("DELETE", f"{here}/registry/repositories/{web.pk}/tags?name_regex_delete=.*"),
        ("GET", "groups/acme/registry/repositories"),
        ("GET", f"registry/access?name={web.path}"),
    ):
        assert_refused(client(method, path), 403)
    open_one = make_project("acme/open", visibility="public")
    elsewhere = client.get(f"projects/{open_one.pk}/registry/repositories")
    assert_refused(elsewhere, 403, "its own project")


def test_a_job_that_is_over(token: str, app: Any) -> None:
    runner = app.runners.get()
    job_tokens.finish_job(runner, runner.jobs.get().pk, "success")
    client = ApiClient(HTTP_JOB_TOKEN=token)
    assert_refused(client.get(f"projects/{app.pk}/registry/repositories"), 401)

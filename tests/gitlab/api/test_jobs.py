"""CI jobs: begun by a runner, listed, reported done; and whose jobs may pull."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gitlab.access_tokens import job_tokens
from gitlab.access_tokens.models import Job
from tests.gitlab.api.conftest import Api, ApiClient, assert_refused
from tests.people import basic

pytestmark = pytest.mark.django_db


@pytest.fixture
def runner(app: Any, make_runner: Any) -> tuple[Any, str]:
    return make_runner(app)  # type: ignore[no-any-return]


def begin(api: Api, runner: tuple[Any, str], **more: Any) -> Any:
    return api().post(
        "jobs/request", {"token": runner[1], "name": "build", "username": "bob"} | more
    )


def login(text: str) -> int:
    header = basic("gitlab-ci-token", text)
    answer = Client().get("/jwt/auth?service=container_registry", HTTP_AUTHORIZATION=header)
    return answer.status_code


def test_from_beginning_to_end(api: Api, alice: Any, bob: Any, app: Any, runner: Any) -> None:
    answer = begin(api, runner, timeout=60)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["token"].startswith("glcbt-")
    assert made["job_info"] == {
        "id": made["id"], "name": "build", "project_id": app.pk, "project_name": "app",
    }  # fmt: skip
    variables = {each["key"]: each for each in made["variables"]}
    assert variables["CI_REGISTRY_PASSWORD"]["value"] == made["token"]
    assert variables["CI_REGISTRY_PASSWORD"]["masked"] is True
    assert variables["CI_REGISTRY_IMAGE"]["value"].endswith("/acme/app")
    assert variables["CI_REGISTRY_USER"]["value"] == "gitlab-ci-token"
    assert login(made["token"]) == 200

    here = ApiClient(HTTP_JOB_TOKEN=made["token"]).get("job").json()
    assert (here["id"], here["status"], here["user"]["username"]) == (made["id"], "running", "bob")
    listed = api(alice).get(f"projects/{app.pk}/jobs").json()
    assert listed == [here]
    assert api(alice).get(f"projects/{app.pk}/jobs/{made['id']}").json() == here
    assert api(alice).get(f"runners/{runner[0].pk}/jobs").json() == [here]
    assert api(alice).get(f"runners/{runner[0].pk}").json()["status"] == "online"

    report = {"token": made["token"], "state": "success"}
    done = api().put(f"jobs/{made['id']}", report)
    assert (done.status_code, done.json()["status"]) == (200, "success")
    assert login(made["token"]) == 401
    assert_refused(ApiClient(HTTP_JOB_TOKEN=made["token"]).get("job"), 401)
    # What is done stays as it is, whoever says otherwise.
    again = api().put(f"jobs/{made['id']}", {"token": runner[1], "state": "failed"})
    assert again.json()["status"] == "success"
    scoped = f"projects/{app.pk}/jobs?scope[]="
    assert len(api(alice).get(f"{scoped}success").json()) == 1
    assert api(alice).get(f"{scoped}running").json() == []
    assert_refused(api(alice).get(f"{scoped}nothing"), 400, "scope")


def test_reports_of_others(api: Api, app: Any, runner: Any, bob: Any, make_runner: Any) -> None:
    mine, other = begin(api, runner).json(), begin(api, runner).json()
    here = f"jobs/{mine['id']}"
    assert_refused(api().put(here, {"token": other["token"], "state": "failed"}), 404, "404 Job")
    stranger = make_runner(app)[1]
    assert_refused(api().put(here, {"token": stranger, "state": "failed"}), 404, "404 Job")
    assert_refused(api().put(here, {"token": "glrt-wrong", "state": "failed"}), 403)
    assert_refused(api().put(here, {"token": mine["token"], "state": "running"}), 400, "state")
    assert_refused(api().put(here, {"state": "failed"}), 400, "token is missing")
    assert Job.objects.filter(status="running").count() == 2


def test_not_begun(api: Api, app: Any, runner: Any, carol: Any) -> None:
    assert_refused(begin(api, runner, name=""), 400, "name is empty")
    assert_refused(begin(api, runner, timeout=86401), 400, "timeout is invalid")
    assert_refused(begin(api, runner, username="carol"), 400, "develops")
    assert_refused(begin(api, runner, username="nobody"), 400, "develops")
    assert_refused(begin(api, runner, token="glrt-wrong"), 403, "no runner")
    job_tokens.revoke_runner(runner[0].created_by, runner[0])
    assert_refused(begin(api, runner), 403)
    assert not Job.objects.exists()


def test_no_more_than_a_machine_runs(
    api: Api, app: Any, runner: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_tokens, "MOST_JOBS", 1)
    assert begin(api, runner).status_code == 201
    assert_refused(begin(api, runner), 409, "At most 1 jobs")


def test_who_may_look(api: Api, bob: Any, carol: Any, mallory: Any, app: Any, runner: Any) -> None:
    made = begin(api, runner).json()
    job = ApiClient(HTTP_JOB_TOKEN=made["token"])
    for client, project, of_runner in (
        (api(bob), 403, 404),
        (api(carol), 403, 404),
        (api(mallory), 404, 404),
        (api(), 401, 401),
        (job, 403, 403),
    ):
        assert_refused(client.get(f"projects/{app.pk}/jobs"), project)
        assert_refused(client.get(f"projects/{app.pk}/jobs/{made['id']}"), project)
        assert_refused(client.get(f"runners/{runner[0].pk}/jobs"), of_runner)
    assert_refused(api(bob).get("job"), 401)


def test_queries_do_not_grow(api: Api, alice: Any, app: Any, runner: Any, bob: Any) -> None:
    for _ in range(3):
        begin(api, runner)
    client = api(alice)
    client.get("user")  # The first use of a token goes on record.
    for path in (f"projects/{app.pk}/jobs", f"runners/{runner[0].pk}/jobs"):
        with CaptureQueriesContext(connection) as few:
            client.get(f"{path}?per_page=1")
        with CaptureQueriesContext(connection) as more:
            assert len(client.get(path).json()) == 3
        assert len(more) <= len(few) <= 9


def test_whose_jobs_may_pull(
    api: Api, alice: Any, bob: Any, mallory: Any, app: Any, make_project: Any
) -> None:
    source = make_project("alice/tools", owner=alice)
    here = f"projects/{app.pk}/job_token_scope"
    client = api(alice)
    assert client.get(here).json() == {"inbound_enabled": True, "outbound_enabled": False}
    assert client("PATCH", here, {"enabled": True}).status_code == 204
    assert_refused(client("PATCH", here, {"enabled": False}), 400, "enabled")
    body = {"target_project_id": source.pk}
    for _ in range(2):
        answer = client.post(f"{here}/allowlist", body)
        assert answer.status_code == 201, answer.content
        assert answer.json() == {"source_project_id": app.pk, "target_project_id": source.pk}
    listed = client.get(f"{here}/allowlist").json()
    assert [one["path_with_namespace"] for one in listed] == ["alice/tools"]
    assert_refused(client.post(f"{here}/allowlist", {"target_project_id": app.pk}), 400, "anyway")
    assert_refused(client.post(f"{here}/allowlist", {"target_project_id": 10**9}), 404)
    for other, status in ((api(bob), 403), (api(mallory), 404), (api(), 401)):
        assert_refused(other.get(here), status)
        assert_refused(other.get(f"{here}/allowlist"), status)
        assert_refused(other.post(f"{here}/allowlist", body), status)
        assert_refused(other.delete(f"{here}/allowlist/{source.pk}"), status)
    assert client.delete(f"{here}/allowlist/{source.pk}").status_code == 204
    assert_refused(client.delete(f"{here}/allowlist/{source.pk}"), 404, "404 Project")

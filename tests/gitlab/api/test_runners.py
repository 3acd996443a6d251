"""Runners: registered, listed, shown, removed; and by their own token."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.access_tokens import job_tokens
from gitlab.access_tokens.models import Runner
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def register(client: Any, project: Any, **more: Any) -> Any:
    body = {"runner_type": "project_type", "project_id": project.pk, "description": "big one"}
    return client.post("user/runners", body | more)


def test_the_shape(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    answer = register(client, app)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["token"].startswith("glrt-")
    assert made == {"id": made["id"], "token": made["token"], "token_expires_at": None}
    listed = client.get(f"projects/{app.pk}/runners").json()
    assert [(one["id"], one["description"]) for one in listed] == [(made["id"], "big one")]
    assert listed[0]["status"] == "never_contacted"
    assert client.get("runners").json() == listed
    shown = client.get(f"runners/{made['id']}").json()
    assert shown["projects"][0]["path_with_namespace"] == "acme/app"
    assert shown["maximum_timeout"] == 86400
    # It says who it is by itself, without any other credential.
    verified = api().post("runners/verify", {"token": made["token"]})
    assert (verified.status_code, verified.json()["id"]) == (200, made["id"])
    assert client.delete(f"runners/{made['id']}").status_code == 204
    assert_refused(api().post("runners/verify", {"token": made["token"]}), 403)
    assert_refused(client.get(f"runners/{made['id']}"), 404, "404 Runner Not Found")
    assert client.get("runners").json() == []


def test_by_status(api: Api, alice: Any, app: Any, make_runner: Any) -> None:
    fresh, late, never = (make_runner(app, name=name)[0] for name in ("fresh", "late", "never"))
    now = timezone.now()
    for runner, ago in ((fresh, 1), (late, 3)):
        Runner.objects.filter(pk=runner.pk).update(last_used_at=now - dt.timedelta(hours=ago))
    for status, expected in (("online", fresh), ("offline", late), ("never_contacted", never)):
        found = api(alice).get(f"projects/{app.pk}/runners?status={status}").json()
        assert [(one["id"], one["status"]) for one in found] == [(expected.pk, status)]
    assert api(alice).get("runners?type=instance_type").json() == []


def test_not_made(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    assert_refused(register(client, app, runner_type="instance_type"), 400, "runner_type")
    assert_refused(register(client, app, description=""), 400, "description is empty")
    assert_refused(register(client, app, description="  \t"), 400, "description is empty")
    assert_refused(client.post("user/runners", {"runner_type": "project_type"}), 400, "missing")
    assert_refused(client.post("runners/verify"), 400, "token is missing")
    assert not Runner.objects.exists()


def test_who_may(
    api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, root: Any, app: Any, make_runner: Any
) -> None:
    runner, text = make_runner(app)
    for client, project, one in (
        (api(bob), 403, 404),
        (api(carol), 403, 404),
        (api(mallory), 404, 404),
        (api(), 401, 401),
    ):
        assert_refused(register(client, app), project)
        assert_refused(client.get(f"projects/{app.pk}/runners"), project)
        assert_refused(client.get(f"runners/{runner.pk}"), one)
        assert_refused(client.delete(f"runners/{runner.pk}"), one)
    assert api(bob).get("runners").json() == []
    assert_refused(api(alice).get("runners/all"), 403)
    assert [one["id"] for one in api(root).get("runners/all").json()] == [runner.pk]
    assert_refused(register(api(alice, "read_api"), app), 403, "insufficient_scope")
    # A runner's token opens nothing else.
    assert_refused(api(HTTP_PRIVATE_TOKEN=text).get("runners"), 401)
    assert Runner.objects.filter(revoked_at=None).count() == 1


def test_a_wrong_token_counts_for_its_address(api: Api, app: Any, settings: Any) -> None:
    settings.FAILED_LOGINS_PER_ADDRESS = 3
    guesses = [{"token": f"glrt-{number}"} for number in range(5)]
    answers = [api().post("runners/verify", guess).status_code for guess in guesses]
    assert answers[0] == 403
    assert answers[-1] == 429


def test_of_projects_that_are_there(
    api: Api, alice: Any, make_project: Any, make_runner: Any, enqueued: Any
) -> None:
    project = make_project("alice/own", owner=alice)
    make_runner(project)
    assert len(api(alice).get("runners").json()) == 1
    api(alice).delete(f"projects/{project.pk}")
    assert api(alice).get("runners").json() == []
    assert job_tokens.runners_for(alice).count() == 0


def test_queries_do_not_grow(api: Api, alice: Any, app: Any, make_runner: Any) -> None:
    for _ in range(3):
        make_runner(app)
    client = api(alice)
    client.get("user")  # The first use of a token goes on record.
    for path in ("runners", f"projects/{app.pk}/runners"):
        with CaptureQueriesContext(connection) as few:
            client.get(f"{path}?per_page=1")
        with CaptureQueriesContext(connection) as more:
            assert len(client.get(path).json()) == 3
        assert len(more) <= len(few) <= 7

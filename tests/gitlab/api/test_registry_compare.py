"""Comparing two images by the API."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.layers import jobs
from gitlab.container_registry.layers.models import FileJob
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.container_registry.layers.archives import of_files
from tests.gitlab.container_registry.layers.played_layers import push

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(app: Any, web: Any, played: Any, enqueued: Any) -> str:
    base = of_files({"etc/motd": b"hello"})
    before = push(played, base, config={"config": {"Env": ["A=1"], "Labels": {"l": "1"}}})
    after = push(played, base, of_files({"srv/new": b"xyz"}), config={"config": {"User": "app"}})
    at = f"projects/{app.pk}/registry/repositories/{web.pk}/compare"
    return f"{at}?before={before}&after={after}"


def files(here: str) -> str:
    return here.replace("/compare?", "/compare/files?")


def test_the_shape(api: Api, carol: Any, here: str) -> None:
    body = api(carol).get(here).json()
    assert body["config"] == [{"name": "User", "before": "", "after": "app"}]
    assert body["environment"] == [{"name": "A", "before": "1", "after": ""}]
    assert body["labels"] == [{"name": "l", "before": "1", "after": ""}]
    assert [(each["change"], each["before"], each["after"]) for each in body["layers"]] == [
        ("common", 1, 1),
        ("new", 0, 2),
    ]
    assert body["after"]["path"] == "acme/app/web"
    assert body["after"]["size"] > body["before"]["size"]
    assert body["cut"] is False


def test_files_are_compared_by_a_job(api: Api, carol: Any, played: Any, here: str) -> None:
    client = api(carol)
    assert_refused(client.get(files(here)), 404, "Comparison Not Found")
    answer = client.post(files(here))
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
    jobs.run(FileJob.objects.get().pk, played)
    body = client.get(files(here)).json()
    assert (body["status"], body["files"]) == ("finished", [])
    body = client.get(f"{files(here)}&change=added").json()
    assert body["totals"]["added"] == {"count": 1, "bytes": 3}
    assert body["files"] == [
        {
            "path": "srv/new",
            "before_kind": "",
            "after_kind": "file",
            "before_size": 0,
            "after_size": 3,
            "before_layer": 0,
            "after_layer": 2,
            "what": [],
        }
    ]
    assert client.get(f"{files(here)}&change=added&page=2").json()["files"] == []


def test_what_is_refused(api: Api, carol: Any, mallory: Any, played: Any, here: str) -> None:
    assert_refused(api(carol).get(here.split("?", maxsplit=1)[0]), 400, "before is missing")
    assert_refused(api(carol).get(f"{here}x"), 404, "Image Not Found")
    assert_refused(api(carol).get(f"{here}&other=acme/none"), 404)
    assert_refused(api(carol).get(f"{files(here)}&change=other"), 400, "valid value")
    assert_refused(api(mallory).get(here), 404)
    assert_refused(api(mallory).post(files(here)), 404)
    assert_refused(api().get(here), 404)
    assert_refused(api().post(files(here)), 401)
    assert_refused(api(carol, "read_api").post(files(here)), 403)
    assert not FileJob.objects.exists()
    played.trouble = RegistryUnavailable("nobody answers")
    assert_refused(api(carol).get(here), 503)

"""``POST /api/v4/container_registry_event/events``: what a foreign registry tells."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import StoredManifest
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.notifications import MAX_EVENTS, MEDIA_TYPE

pytestmark = pytest.mark.django_db

URL = "/api/v4/container_registry_event/events"
IMAGE = "application/vnd.oci.image.manifest.v1+json"


def event(
    path: str = "acme/app/web",
    action: str = "push",
    *,
    media_type: Any = IMAGE,
    useragent: str = "docker/29",
    **more: Any,
) -> Any:
    return {
        "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
        "timestamp": "2026-11-20T10:00:00.697134235Z",
        "action": action,
        "target": {"mediaType": media_type, "size": 7, "repository": path, "tag": "v1"},
        "request": {"useragent": useragent, "method": "PUT"},
        "actor": {"name": "bob"},
        "source": {"addr": "registry:5000"},
        **more,
    }


@pytest.fixture
def post(client: Client) -> Any:
    def send(*events: Any, body: Any = None, secret: Any = None, **headers: Any) -> Any:
        content = json.dumps({"events": list(events)}).encode() if body is None else body
        secret = configured.CONTAINER_REGISTRY_EVENTS_SECRET if secret is None else secret
        headers |= {"Authorization": secret} if secret else {}
        return client.post(URL, content, content_type=MEDIA_TYPE, headers=headers)

    return send


@pytest.fixture
def there(played: Any) -> Any:
    played.push("acme/app/web", "v1")
    return played


def test_a_new_image_and_its_last_push_are_known(post: Any, there: Any, app: Any, bob: Any) -> None:
    answer = post(event())
    assert (answer.status_code, answer.json()) == (200, {"noted": ["acme/app/web"]})
    row = ContainerRepository.objects.get()
    assert (row.path, row.name, row.project) == ("acme/app/web", "web", app)
    assert row.last_published_at.replace(microsecond=0) == dt.datetime(
        2026, 11, 20, 10, tzinfo=dt.UTC
    )
    assert AuditEvent.objects.get(action="container_repository.create").actor == bob


def test_a_push_is_told_before_its_tag_is_there(post: Any, played: Any, app: Any) -> None:
    """docker's registry notifies of the manifest, and writes the tag after that."""
    played.manifests["sha256:" + "b" * 64] = StoredManifest(IMAGE, b"{}")
    for digest, noted in (("c" * 64, []), ("../..", []), (None, []), ("b" * 64, ["acme/app/web"])):
        told = event()
        told["target"]["digest"] = digest and f"sha256:{digest}"
        assert post(told).json() == {"noted": noted}
    assert ContainerRepository.objects.get().path == "acme/app/web"


def test_twice_is_as_once_and_an_older_one_changes_nothing(post: Any, there: Any, app: Any) -> None:
    post(event())
    before = ContainerRepository.objects.get().last_published_at
    assert post(event()).json() == {"noted": []}
    post(event(timestamp="2026-11-19T10:00:00Z"))
    row = ContainerRepository.objects.get()
    assert row.last_published_at == before
    post(event(timestamp="2026-11-21T10:00:00+01:00"))
    row.refresh_from_db()
    assert row.last_published_at == dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
    assert AuditEvent.objects.filter(action="container_repository.create").count() == 1


@pytest.mark.parametrize(
    "told",
    [
        event(action="pull"),
        event(action="delete"),
        event(media_type="application/octet-stream"),
        event(useragent="berth"),
        event(path="nobody/app"),
        event(path="acme/gone"),
        event(path="acme/app/not-there"),
    ],
    ids=["pull", "delete", "blob", "our own", "no namespace", "no project", "gone again"],
)
def test_the_rest_is_read_over(post: Any, there: Any, app: Any, told: Any) -> None:
    """With 200: what is refused comes again and again, and holds up what follows."""
    answer = post(told)
    assert (answer.status_code, answer.json()) == (200, {"noted": []})
    assert not ContainerRepository.objects.exists()


@pytest.mark.parametrize("secret", ["", "wrong", "Bearer wrong", "Bearer", "ä", "x" * 10_000])
def test_it_wants_the_secret(client: Client, there: Any, app: Any, secret: Any) -> None:
    headers = {"HTTP_AUTHORIZATION": secret} if secret else {}
    body = json.dumps({"events": [event()]})
    answer = client.post(URL, body, content_type=MEDIA_TYPE, **headers)
    assert (answer.status_code, answer.json()) == (401, {"message": "401 Unauthorized"})
    assert not ContainerRepository.objects.exists()


def test_it_takes_the_secret_as_a_bearer_too(post: Any, there: Any, app: Any) -> None:
    secret = configured.CONTAINER_REGISTRY_EVENTS_SECRET
    assert post(event(), secret=f"Bearer {secret}").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"events": {}}',
        b'{"events": [1]}',
        b"\xff",
        b"[" * 100_000,
        json.dumps({"events": [event(path="Acme/APP")]}).encode(),
        json.dumps({"events": [event(path=None)]}).encode(),
        json.dumps({"events": [event(timestamp="yesterday")]}).encode(),
        json.dumps({"events": [event(target="x")]}).encode(),
        json.dumps({"events": [event()] * (MAX_EVENTS + 1)}).encode(),
    ],
)
def test_it_refuses_what_is_no_envelope(post: Any, there: Any, app: Any, body: Any) -> None:
    answer = post(body=body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("400 Bad Request: ")
    assert not ContainerRepository.objects.exists()


def test_it_refuses_what_is_too_large(post: Any, there: Any, app: Any) -> None:
    assert post(body=b"x" * (configured.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)).status_code == 413


def test_without_the_registry_it_comes_again(post: Any, there: Any, app: Any) -> None:
    there.trouble = RegistryUnavailable("away")
    answer = post(event())
    assert answer.status_code == 503
    assert 1 <= int(answer["Retry-After"]) <= 60
    there.trouble = None
    assert post(event()).json() == {"noted": ["acme/app/web"]}


def test_only_post(client: Client) -> None:
    assert client.get(URL).status_code == 405

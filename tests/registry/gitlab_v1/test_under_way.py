"""What is being pushed at this moment, what was pushed last, and the pulls of today."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from registry.services import pull_counts, under_way
from registry.services.manifests import find
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access
from tokens.verify import Claims

pytestmark = pytest.mark.django_db(databases=["registry"])
PATH = f"/gitlab/v1/berth/under-way/{APP}/"


def going_on(gitlab: Person, path: str = PATH) -> Any:
    token = mint(None, *(Access.repository(name, "pull") for name in (APP, f"{APP}/*")))
    answer = gitlab.send("GET", path, token=token)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_layers_as_they_come(gitlab: Person, alice: Person) -> None:
    assert going_on(gitlab) == {"arriving": [], "pushed": [], "pulls_today": 0}
    config, layer = b"{}", images.content(100)
    images.push_blob(APP, config)
    images.push_blob(APP, layer)
    images.push_blob("acme/app-2", images.content(5))
    (one,) = going_on(gitlab)["arriving"]
    assert (one["path"], one["blobs_count"], one["size_bytes"]) == (APP, 2, 102)
    assert one["open_count"] == 0
    started = alice.send("POST", f"/v2/{APP}/blobs/uploads/")
    alice.send("PATCH", started.headers["Location"], b"x" * 30)
    (one,) = going_on(gitlab)["arriving"]
    assert (one["open_count"], one["open_bytes"], one["actors"]) == (1, 30, ["alice"])
    images.push_manifest(APP, "v1", images.document(config, [layer]))
    (one,) = going_on(gitlab)["arriving"]
    assert (one["blobs_count"], one["open_count"]) == (0, 1)


def test_a_push_that_has_come_to_its_end(gitlab: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_image(f"{APP}/sub", "v2")
    images.push_image("acme/app-2", "v3")
    found = going_on(gitlab)
    assert found["arriving"] == []
    last, first = found["pushed"]
    assert (last["path"], last["tag"]) == (f"{APP}/sub", "v2")
    assert (first["path"], first["tag"], first["digest"]) == (APP, "v1", image.digest)
    assert first["actor"] == "alice"
    alone = going_on(gitlab, f"{PATH}?self=true")["pushed"]
    assert [each["tag"] for each in alone] == ["v1"]


def test_what_came_long_ago_goes_on_no_more(gitlab: Person, alice: Person, clock: Any) -> None:
    images.push_blob(APP, images.content(5))
    started = alice.send("POST", f"/v2/{APP}/blobs/uploads/")
    alice.send("PATCH", started.headers["Location"], b"x" * 30)
    assert len(going_on(gitlab)["arriving"]) == 1
    clock.advance(minutes=under_way.RECENT / dt.timedelta(minutes=1) + 1)
    assert going_on(gitlab)["arriving"] == []


def test_pulls_of_today(gitlab: Person, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_counts, "_seconds", lambda: timezone.now().timestamp())
    for name in (APP, f"{APP}/sub", "acme/app-2"):
        images.push_image(name, "v1")
        claims = Claims("bob", (), 0.0, "id", auth_type="build")
        pull_counts.note(claims, find(name, "v1"), "v1")
    assert pull_counts.flush()
    assert going_on(gitlab)["pulls_today"] == 2
    assert going_on(gitlab, f"{PATH}?self=true")["pulls_today"] == 1
    clock.advance(days=1)
    assert going_on(gitlab)["pulls_today"] == 0


def test_only_gitlabs_own_jobs_ask(carol: Person, mallory: Person) -> None:
    images.push_image(APP, "v1")
    for person in (carol, mallory):
        assert_refused(person.send("GET", PATH), "UNAUTHORIZED", 401)

"""What each tagged manifest of an image holds alone, and what waits below a path."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from registry.models import Manifest
from registry.services import pushing, repositories, shares, tags
from registry.timestamps import timestamp
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])
PATH = f"/gitlab/v1/berth/shares/{APP}/"
WAITING = f"/gitlab/v1/statistics/?path={APP}&waiting=true"


def shared(gitlab: Person, query: str = "") -> Any:
    token = mint(None, *(Access.repository(name, "pull") for name in (APP, f"{APP}/*")))
    answer = gitlab.send("GET", PATH + query, token=token)
    assert answer.status_code == 200, answer.content
    return answer.json()


def by_first_tag(found: Any) -> dict[str, tuple[int, int]]:
    return {each["tags"][0]: (each["alone_bytes"], each["tags_count"]) for each in found["shares"]}


def test_what_several_have_counts_for_none(gitlab: Person) -> None:
    common = images.content(1000)
    images.push_image(APP, "v1", config=b"{}", layers=[common, images.content(70)])
    images.push_image(APP, "v2", config=b"{}", layers=[common, images.content(30)])
    images.push_image("acme/other", "v1", config=b"{}", layers=[common, images.content(5)])
    found = shared(gitlab)
    assert found["exact"]
    assert by_first_tag(found) == {"v1": (70, 1), "v2": (30, 1)}
    first = found["shares"][0]
    assert first["size_bytes"] == 1072
    assert first["last_pulled_at"] is None


def test_tags_of_one_manifest_are_one_share(gitlab: Person) -> None:
    image = images.push_image(APP, "v1", config=b"{}", layers=[images.content(70)])
    pushing.push(APP, "latest", image.payload, image.media_type, images.ALICE)
    (one,) = shared(gitlab)["shares"]
    assert one["tags"] == ["latest", "v1"]
    assert (one["alone_bytes"], one["tags_count"]) == (72, 2)
    assert one["digest"] == image.digest


def test_an_index_has_what_its_images_have(gitlab: Person) -> None:
    child = images.push_image(APP, None, config=b"{}", layers=[images.content(50)])
    images.push_index(APP, "index", [child.descriptor])
    assert by_first_tag(shared(gitlab)) == {"index": (52, 1)}
    images.push_index(APP, "other", [child.descriptor], annotations={"a": "b"})
    assert by_first_tag(shared(gitlab)) == {"index": (0, 1), "other": (0, 1)}


def test_the_largest_first_and_no_more_than_asked_for(gitlab: Person) -> None:
    for size in (10, 30, 20):
        images.push_image(APP, f"v{size}", config=b"{}", layers=[images.content(size)])
    found = shared(gitlab, "?n=2")["shares"]
    assert [each["alone_bytes"] for each in found] == [30, 20]


def test_more_than_is_compared_is_said() -> None:
    for number in range(3):
        images.push_image(APP, f"v{number}")
    repository_id = repositories.get_id(APP)
    assert shares.of(repository_id, 10).is_exact
    assert not shares.of(repository_id, 10, most_manifests=2).is_exact
    assert not shares.of(repository_id, 10, most_rows=2).is_exact


def test_a_deleted_manifest_counts_no_more(gitlab: Person) -> None:
    common = images.content(100)
    images.push_image(APP, "v1", config=b"{}", layers=[common])
    gone = images.push_image(APP, "v2", config=b"{} ", layers=[common])
    tags.delete(APP, "v2", images.ALICE)
    assert by_first_tag(shared(gitlab)) == {"v1": (102, 1)}
    assert Manifest.objects.filter(digest=gone.digest).exists()


def test_only_gitlabs_own_jobs_ask(carol: Person, mallory: Person) -> None:
    images.push_image(APP, "v1")
    for person in (carol, mallory):
        assert_refused(person.send("GET", PATH), "UNAUTHORIZED", 401)
        assert_refused(person.send("GET", WAITING), "UNAUTHORIZED", 401)


def waiting(gitlab: Person) -> Any:
    (found,) = gitlab.send("GET", WAITING).json()
    return found["waiting"]


def test_what_waits_and_until_when(gitlab: Person, clock: Any, settings: Any) -> None:
    settings.UNDO_WINDOW = dt.timedelta(days=7)
    images.push_image(APP, "v1", config=b"{}", layers=[images.content(70)])
    images.push_image(f"{APP}/sub", "v1", config=b"{}", layers=[images.content(500)])
    images.push_image("acme/app-2", "v1", layers=[images.content(9)])
    nothing = {"size_bytes": 0, "tags_count": 0, "repositories_count": 0}
    assert waiting(gitlab) == nothing | {"first_until": None, "last_until": None}
    first = clock.now()
    repositories.close(f"{APP}/sub", images.ALICE)
    clock.advance(hours=1)
    last = clock.now()
    tags.delete(APP, "v1", images.ALICE)
    tags.delete("acme/app-2", "v1", images.ALICE)
    found = waiting(gitlab)
    assert (found["tags_count"], found["repositories_count"]) == (1, 1)
    # That of the tag is untagged, and not deleted yet: it lives until the collector has looked.
    assert found["size_bytes"] == 500
    week = dt.timedelta(days=7)
    assert found["first_until"][:16] == timestamp(first + week)[:16]
    assert found["last_until"][:16] == timestamp(last + week)[:16]

"""How often something was pulled, as GitLab's pages ask for it; and tags by their last pull."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from typing import Any

import pytest
from django.utils import timezone

from registry.errors import Code
from registry.models import Counting
from registry.services import pull_counts, tags
from registry.services.manifests import find
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tokens.verify import Claims

pytestmark = pytest.mark.django_db(databases=["registry"])
LIST = f"/gitlab/v1/repositories/{APP}/tags/list/"
PULLS = f"/gitlab/v1/berth/pulls/{APP}/"
ORDER = ["a", "c", "e", "d", "b", "f"]
"""By last pull: three that nobody has pulled, by name, then those that somebody has."""


def pull(reference: str, auth_type: str = "build", name: str = APP) -> None:
    """Pulled and written down."""
    claims = Claims("bob", (), 0.0, "id", auth_type=auth_type)
    pull_counts.note(claims, find(name, reference), reference)
    assert pull_counts.flush()


@pytest.fixture(autouse=True)
def _counts_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_counts, "_seconds", lambda: timezone.now().timestamp())


@pytest.fixture
def many(clock: Any) -> None:
    for name in "abcdef":
        images.push_image(APP, name)
    for name in ("b", "d", "b", "f"):
        clock.advance(minutes=1)
        pull(name)


def walk(person: Person, path: str, relation: str) -> list[list[str]]:
    """The names on this page and those that its links lead to."""
    pages = []
    while path:
        response = person.send("GET", path)
        pages.append([tag["name"] for tag in response.json()])
        found = re.search(rf'<([^>]*)>; rel="{relation}"', response.headers.get("Link", ""))
        path = found[1] if found else ""
    return pages


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("sort", ["last_pulled_at", "-last_pulled_at"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 100])
def test_tags_by_last_pull_both_ways(carol: Person, sort: str, n: int) -> None:
    expected = ORDER if sort == "last_pulled_at" else ORDER[::-1]
    pages = walk(carol, f"{LIST}?sort={sort}&n={n}", "next")
    assert list(itertools.chain(*pages)) == expected
    assert all(len(page) <= n for page in pages)
    last = expected[-1]
    back = walk(carol, f"{LIST}?sort={sort}&n={n}&before={last}", "previous")
    assert list(itertools.chain(*reversed(back))) == expected[:-1]


@pytest.mark.usefixtures("many")
def test_two_tags_of_one_manifest_stand_together(carol: Person, clock: Any) -> None:
    """And are of the same last pull, by whichever name or digest it was."""
    image = images.push_image(APP, "twin")
    images.push_manifest(APP, "twin2", json.loads(image.payload))
    clock.advance(minutes=1)
    pull(image.digest)
    for n in (1, 2, 3):
        pages = walk(carol, f"{LIST}?sort=-last_pulled_at&n={n}", "next")
        assert list(itertools.chain(*pages)) == ["twin2", "twin", *ORDER[::-1]]


@pytest.mark.usefixtures("many")
def test_some_of_them_by_name(carol: Person) -> None:
    images.push_image(APP, "ab")
    images.push_image(APP, "AB")
    assert walk(carol, f"{LIST}?sort=last_pulled_at&name=b", "next") == [["ab", "b"]]
    assert walk(carol, f"{LIST}?sort=last_pulled_at&name=b&n=1", "next") == [["ab"], ["b"]]
    assert walk(carol, f"{LIST}?sort=-last_pulled_at&name_exact=a", "next") == [["a"]]


@pytest.mark.usefixtures("many")
def test_a_marker_that_has_gone_still_leads_on(carol: Person) -> None:
    tags.delete(APP, "d", images.ALICE)
    assert walk(carol, f"{LIST}?sort=last_pulled_at&last=d", "next") == [["b", "f"]]
    tags.delete(APP, "c", images.ALICE)
    assert walk(carol, f"{LIST}?sort=-last_pulled_at&last=c", "next") == [["a"]]
    assert walk(carol, f"{LIST}?sort=last_pulled_at&last=nowhere", "next") == [["a", "e", "b", "f"]]


def test_those_of_another_repository_are_not_shown(carol: Person) -> None:
    images.push_image("acme/other", "v1")
    images.push_image(APP, "v2")
    pull("v1", name="acme/other")
    assert walk(carol, f"{LIST}?sort=-last_pulled_at", "next") == [["v2"]]
    assert carol.send("GET", PULLS).json()["days"] == []


def test_a_tag_tells_of_what_it_points_at_now(carol: Person, clock: Any) -> None:
    clock.now_is(dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC))
    image = images.push_image(APP, "v1")
    pull("v1")
    clock.advance(hours=1)
    pull(image.digest)
    for path in (f"/gitlab/v1/berth/tag/{APP}/?tag=v1", f"{LIST}?name_exact=v1"):
        body = carol.send("GET", path).json()
        tag = body[0] if isinstance(body, list) else body
        assert (tag["pulls"], tag["last_pulled_at"]) == (2, "2026-11-20T11:30:00.000+00:00")
        since = dt.datetime.fromisoformat(tag["pulls_counted_since"])
        assert abs(since - Counting.objects.get(name="pulls").since) < dt.timedelta(seconds=1)
    images.push_image(APP, "v1")
    tag = carol.send("GET", f"/gitlab/v1/berth/tag/{APP}/?tag=v1").json()
    assert (tag["pulls"], tag["last_pulled_at"]) == (0, None)


def test_a_registry_that_does_not_say_since_when(carol: Person) -> None:
    Counting.objects.all().delete()
    images.push_image(APP, "v1")
    tag = carol.send("GET", f"/gitlab/v1/berth/tag/{APP}/?tag=v1").json()
    assert tag["pulls_counted_since"] is None
    assert carol.send("GET", PULLS).json()["counted_since"] is None


def test_a_repository_tells_of_a_month(carol: Person, clock: Any) -> None:
    clock.now_is(dt.datetime(2026, 10, 1, 10, tzinfo=dt.UTC))
    images.push_image(APP, "v1")
    found = carol.send("GET", f"/gitlab/v1/berth/repository/{APP}/").json()
    assert (found["pulls_30_days"], found["last_pulled_at"]) == (0, None)
    for days in (0, 1, 29):
        clock.advance(days=days)
        pull("v1")
    found = carol.send("GET", f"/gitlab/v1/berth/repository/{APP}/").json()
    assert found["pulls_30_days"] == 2
    assert found["last_pulled_at"] == "2026-10-31T10:00:00.000+00:00"
    assert "pulls_counted_since" in found


def test_by_day_and_kind(carol: Person, clock: Any) -> None:
    clock.now_is(dt.datetime(2026, 11, 20, 23, 59, tzinfo=dt.UTC))
    first, second = images.push_image(APP, "v1"), images.push_image(APP, "v2")
    pull("v1")
    pull(first.digest)
    clock.advance(minutes=2)
    pull("v1", "none")
    pull("v2")
    images.push_manifest(APP, "v1", json.loads(second.payload))
    pull("v1")

    def days(query: str) -> list[tuple[str, str, int]]:
        found = carol.send("GET", PULLS + query).json()["days"]
        return [(entry["day"][-2:], entry["credential"], entry["pulls"]) for entry in found]

    assert days("") == [("21", "anonymous", 1), ("21", "job", 2), ("20", "job", 2)]
    assert days(f"?digest={first.digest}") == [("21", "anonymous", 1), ("20", "job", 2)]
    assert days(f"?digest={second.digest}") == [("21", "job", 2)]
    assert days("?tag=v1") == [("21", "anonymous", 1), ("21", "job", 1), ("20", "job", 1)]
    assert days("?days=1") == days("")[:2]
    clock.advance(days=30)
    assert days("") == []
    assert len(days("?days=366")) == 3


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?days=0", Code.UNSUPPORTED),
        ("?days=367", Code.UNSUPPORTED),
        ("?days=-1", Code.UNSUPPORTED),
        ("?days=²", Code.UNSUPPORTED),
        ("?tag=v1&digest=sha256:0", Code.UNSUPPORTED),
        ("?tag=.v1", Code.TAG_INVALID),
        ("?digest=sha256:0", Code.DIGEST_INVALID),
    ],
)
def test_odd_questions_are_refused(carol: Person, query: str, code: Code) -> None:
    images.push_image(APP, "v1")
    assert_refused(carol.send("GET", PULLS + query), code, 400)


def test_who_may_not_pull_does_not_hear_of_pulls(carol: Person, mallory: Person) -> None:
    images.push_image(APP, "v1")
    assert_refused(mallory.send("GET", PULLS), Code.UNAUTHORIZED, 401)
    assert_refused(carol.send("GET", "/gitlab/v1/berth/pulls/acme/none/"), Code.NAME_UNKNOWN, 404)


def test_statistics_tell_what_was_never_pulled(gitlab: Person) -> None:
    for name in ("v1", "v2", "v3"):
        images.push_image(APP, name)
    pull("v2")
    (found,) = gitlab.send("GET", "/gitlab/v1/statistics/?path=acme").json()
    assert (found["tags_count"], found["tags_never_pulled_count"]) == (3, 2)

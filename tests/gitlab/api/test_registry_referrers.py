"""What refers to the image of a tag."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import Referrer
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.played_registry import MANIFEST, digest

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(app: Any, web: Any, played: Any) -> str:
    """The address of the tag v1, which a signature and two lists of parts refer to."""
    played.push("acme/app/web", "v1", "a")
    played.push("acme/app/web", "v2", "b")
    played.referring[digest("a")] = [
        Referrer(digest("c"), MANIFEST, 100, "signature", {"made.by": "bob"}),
        Referrer(digest("d"), MANIFEST, 200, "parts"),
        Referrer(digest("e"), MANIFEST, 300, "parts"),
    ]
    return f"projects/{app.pk}/registry/repositories/{web.pk}/tags"


def test_the_shape(api: Api, carol: Any, here: str) -> None:
    answer = api(carol).get(f"{here}/v1/referrers")
    assert answer.status_code == 200, answer.content
    assert answer.json()[0] == {
        "digest": digest("c"),
        "media_type": MANIFEST,
        "artifact_type": "signature",
        "size": 100,
        "annotations": {"made.by": "bob"},
    }
    assert len(answer.json()) == 3
    assert "Link" not in answer.headers
    assert api(carol).get(f"{here}/v2/referrers").json() == []


def test_pages_and_types(api: Api, carol: Any, here: str) -> None:
    client = api(carol)
    found, path = [], f"{here}/v1/referrers?per_page=1&artifact_type=parts"
    while path:
        answer = client.get(path)
        found += [one["digest"] for one in answer.json()]
        path = answer.headers.get("Link", "").partition("/api/v4/")[2].partition(">")[0]
    assert found == [digest("d"), digest("e")]


def test_what_is_refused(
    api: Api, carol: Any, mallory: Any, here: str, played: Any, app: Any
) -> None:
    for tag in ("nothing", "-no"):
        assert_refused(api(carol).get(f"{here}/{tag}/referrers"), 404, "404 Tag Not Found")
    assert_refused(api(mallory).get(f"{here}/v1/referrers"), 404)
    assert_refused(api().get(f"{here}/v1/referrers"), 404)
    app.visibility = "public"
    app.save()
    app.namespace.visibility = "public"
    app.namespace.save()
    assert api().get(f"{here}/v1/referrers").status_code == 200
    played.trouble = RegistryUnavailable("no answer")
    assert_refused(api(carol).get(f"{here}/v1/referrers"), 503)

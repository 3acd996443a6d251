"""How often a page asks the registry: each question is a way to another process and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.responses import ManifestDetails, Referrer, StoredManifest
from gitlab.container_registry.signatures import verification
from tests.gitlab.container_registry.test_belongings_page import attested  # noqa: F401
from tests.gitlab.container_registry.test_inside_page import put_image
from tests.gitlab.counted_registry import CountedRegistry
from tests.gitlab.played_registry import INDEX, MANIFEST, digest

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]


@pytest.fixture
def counted(played: Any, monkeypatch: pytest.MonkeyPatch) -> CountedRegistry:
    registry = CountedRegistry(played)
    monkeypatch.setattr(clients, "for_pages", lambda: registry)
    return registry


@pytest.fixture
def asked(counted: CountedRegistry, browser: Any, carol: Any, web: Any) -> Any:
    """What a page of the image asks, the first time and then."""
    visitor = browser(carol)

    def look(page: str) -> tuple[list[str], list[str]]:
        times = []
        for _ in range(2):
            counted.asked.clear()
            answer = visitor.get(f"/acme/app/container_registry/{web.pk}/{page}")
            assert answer.status_code == 200
            times.append(list(counted.asked))
        return times[0], times[1]

    return look


def test_a_tag(asked: Any, played: Any) -> None:
    put_image(played, layers=40)
    for letter in "ab":
        played.push("acme/app/web", "v1", letter)
    first, then = asked("tags/v1")
    assert first == ["overview", "manifest", "blob"]
    assert then == ["overview"]


def test_a_digest(asked: Any, played: Any) -> None:
    put_image(played)
    assert asked(f"manifests/{digest('b')}") == (["overview", "manifest", "blob"], ["overview"])


def test_an_image_with_all_that_belongs_to_it(asked: Any, played: Any) -> None:
    put_image(played)
    played.push("acme/app/web", "v1", "b")
    played.push("acme/app/web", f"sha256-{'b' * 64}.sig", "5")
    played.referring[digest("b")] = [
        Referrer(f"sha256:{number:064x}", MANIFEST, 1, "application/spdx+json")
        for number in range(10)
    ]
    _, then = asked("tags/v1")
    # What holds signatures is read once; these hold none that could be remembered.
    assert then.count("overview") == 1
    assert set(then) <= {"overview", "manifest", "has_manifest"}


def test_an_index_with_attestations(asked: Any, played: Any, attested: None) -> None:  # noqa: F811
    played.details = {digest(letter): ManifestDetails(digest(letter), MANIFEST) for letter in "b12"}
    assert asked("tags/v1")[1] == ["overview"]


def test_a_tag_that_is_deleted(asked: Any, played: Any) -> None:
    played.push("acme/app/web", "v1")
    played.delete_tag("acme/app/web", "v1", by="bob")
    assert asked("tags/v1")[1] == ["overview"]


def test_comparing(asked: Any, played: Any) -> None:
    put_image(played, "b", layers=30)
    put_image(played, "d", layers=29)
    for tag, letter in (("v1", "b"), ("v2", "d")):
        played.push("acme/app/web", tag, letter)
    assert asked("compare?from=v1&to=v2")[1] == ["overview"] * 2


def test_comparing_indexes(asked: Any, played: Any) -> None:
    put_image(played, "1")
    put_image(played, "2", layers=1)
    for tag, letter, child in (("v1", "b", "1"), ("v2", "d", "2")):
        platform = {"os": "linux", "architecture": "amd64"}
        document = {"manifests": [{"digest": digest(child), "size": 1, "platform": platform}]}
        played.manifests[digest(letter)] = StoredManifest(INDEX, json.dumps(document).encode())
        played.push("acme/app/web", tag, letter, media_type=INDEX)
    assert asked("compare?from=v1&to=v2")[1] == ["overview"] * 4


def test_who_has_signed_an_image(counted: CountedRegistry, played: Any, web: Any) -> None:
    put_image(played)
    assert not verification.of_image(counted, web, digest("b")).signatures  # type: ignore[arg-type]
    assert counted.asked == ["overview"]

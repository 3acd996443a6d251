"""The pages where the registry is not ours: what it can't tell is said, and asked of nobody."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.container_registry.client.responses import RepositoryDetails

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]

NOTE = "A registry without Berth"
IMAGES = "/acme/app/container_registry"


@pytest.fixture
def theirs(played: Any) -> Any:
    """A registry that has no history and can't undo."""
    played.has_own_api = False
    played.freed_bytes = None
    played.history = lambda path, tag, n=100: []
    played.repository = lambda path, size=True, below=False: RepositoryDetails(
        "web", path, 2, None if below else 5 * 1024 * 1024
    )
    for tag, letter in (("v1", "a"), ("v2", "b")):
        played.push("acme/app/web", tag, letter)
    return played


def test_the_list_of_images(theirs: Any, web: Any, alice: Any, browser: Any) -> None:
    web.last_published_at = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
    web.save()
    text = browser(alice).get(IMAGES).content.decode()
    assert NOTE in text
    assert "2026-11-20 10:00:00 UTC" in text
    assert "5.0 MiB" in text


def test_a_size_that_is_not_known_is_no_zero(
    theirs: Any, web: Any, alice: Any, browser: Any
) -> None:
    theirs.repository = lambda path, size=True, below=False: RepositoryDetails("web", path, 90)
    text = browser(alice).get(IMAGES).content.decode()
    assert "not known" in text
    assert "0 MiB" not in text
    assert " stored" not in text


def test_the_tags_are_sorted_by_name_alone(theirs: Any, web: Any, alice: Any, browser: Any) -> None:
    asked = []
    tags = theirs.tags
    theirs.tags = lambda path, **more: asked.append(more["sort"]) or tags(path, **more)
    for query, sort in (("", "name"), ("?sort=-published_at", "name"), ("?sort=-name", "-name")):
        text = browser(alice).get(f"{IMAGES}/{web.pk}{query}").content.decode()
        assert NOTE in text
        assert 'href="?sort=published_at' not in text
        assert "#history" not in text
        assert asked.pop() == sort


def test_a_tag(theirs: Any, web: Any, alice: Any, browser: Any) -> None:
    text = browser(alice).get(f"{IMAGES}/{web.pk}/tags/v1").content.decode()
    assert NOTE in text
    assert 'id="history"' not in text
    assert browser(alice).get(f"{IMAGES}/{web.pk}/tags/none").status_code == 404


@pytest.mark.parametrize("page", ["delete_tags?selected=v1", "delete"])
def test_no_undo_is_promised(theirs: Any, web: Any, alice: Any, browser: Any, page: str) -> None:
    text = browser(alice).get(f"{IMAGES}/{web.pk}/{page}").content.decode()
    assert "be undone." in text
    assert "Undo until" not in text
    assert "Frees" not in text
    assert "does not answer" not in text


def test_a_deleted_tag_has_no_undo(theirs: Any, web: Any, alice: Any, browser: Any) -> None:
    visitor = browser(alice)
    form = {"selected": "v1", "confirmed": "yes"}
    text = visitor.post(f"{IMAGES}/{web.pk}/delete_tags", form, follow=True).content.decode()
    assert "Tag v1 of web deleted." in text
    assert "Undo" not in text.partition("Tag v1 of web deleted.")[2][:300]
    restored = visitor.post(f"{IMAGES}/{web.pk}/restore", {"tags": "v1"}, follow=True)
    assert "too late" in restored.content.decode()
    assert "v1" not in theirs.now["acme/app/web"]

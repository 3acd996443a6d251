"""The page of one tag."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import StoredManifest
from tests.gitlab.container_registry.conftest import INDEX, MANIFEST, digest

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]


@pytest.fixture
def url(web: Any) -> str:
    return f"/acme/app/container_registry/{web.pk}/tags/Latest"


def test_who_sees_it(
    url: Any, played: Any, browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any
) -> None:
    played.push("acme/app/web", "Latest")
    for user in (alice, bob, carol):
        page = browser(user).get(url)
        assert page.status_code == 200
        assert ("Delete tag…" in page.content.decode()) == (user != carol)
    assert browser(mallory).get(url).status_code == 404
    assert browser(alice).get(url.replace("Latest", "never")).status_code == 404
    assert browser(alice).get(url.replace("Latest", "-no")).status_code == 404


def test_an_image(url: Any, played: Any, browser: Any, carol: Any) -> None:
    layers = [{"digest": digest("e"), "size": 3 * 1024 * 1024, "mediaType": "x/layer"}]
    played.manifests[digest("b")] = StoredManifest(
        MANIFEST, json.dumps({"layers": layers}).encode()
    )
    played.push("acme/app/web", "Latest", "b", config_digest=digest("d"))
    page = browser(carol).get(url).content.decode()
    for words in ("acme/app/web:Latest", f"acme/app/web@{digest('b')}", digest("d"), digest("e")):
        assert words in page
    for words in ("3.0 MiB", "linux/amd64", MANIFEST, "Current"):
        assert words in page


def test_an_index_has_a_line_for_each_platform(
    url: Any, played: Any, browser: Any, carol: Any
) -> None:
    children = [
        {"digest": digest("1"), "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": digest("2"), "size": 1, "platform": {"os": "windows", "architecture": "arm"}},
        {"digest": digest("3"), "size": 1, "platform": {"os": "unknown", "architecture": "no"}},
    ]
    played.manifests[digest("b")] = StoredManifest(
        INDEX, json.dumps({"manifests": children}).encode()
    )
    played.push("acme/app/web", "Latest", "b", media_type=INDEX)
    page = browser(carol).get(url).content.decode()
    assert "windows/arm" in page
    assert f"acme/app/web@{digest('2')}" in page
    assert "and 1 attestation" in page
    assert digest("3") not in page


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"layers": [1]}', b'{"layers": 5}', b"\xff"])
def test_a_manifest_that_is_no_manifest(
    url: Any, played: Any, browser: Any, carol: Any, payload: bytes
) -> None:
    played.manifests[digest("b")] = StoredManifest(MANIFEST, payload)
    played.push("acme/app/web", "Latest", "b")
    assert browser(carol).get(url).status_code == 200


def test_its_history(url: Any, played: Any, browser: Any, bob: Any, carol: Any) -> None:
    for letter in "abca":
        played.push("acme/app/web", "Latest", letter)
    history = browser(bob).get(url).context["history"]
    assert [line["past"].digest[7] for line in history] == list("acba")
    assert [line["is_current"] for line in history] == [True, False, False, False]
    # What it points at anyway needs no restoring.
    assert [line["may_restore"] for line in history] == [False, True, True, False]
    assert not any(line["may_restore"] for line in browser(carol).get(url).context["history"])


def test_one_that_is_deleted(url: Any, played: Any, browser: Any, bob: Any, carol: Any) -> None:
    played.push("acme/app/web", "Latest")
    played.delete_tag("acme/app/web", "Latest", by="alice")
    page = browser(bob).get(url).content.decode()
    assert "This tag is deleted" in page
    assert "alice deleted it" in page
    assert "Restore" in page
    assert "Restore" not in browser(carol).get(url).content.decode()


def test_a_registry_that_does_not_answer(url: Any, played: Any, browser: Any, alice: Any) -> None:
    played.trouble = RegistryUnavailable("away")
    response = browser(alice).get(url)
    assert response.status_code == 200
    assert "The registry does not answer" in response.content.decode()

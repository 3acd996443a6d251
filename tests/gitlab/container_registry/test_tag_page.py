"""The page of one tag."""

from __future__ import annotations

import datetime as dt
import json
import re
import tracemalloc
from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import (
    DailyPulls,
    Interval,
    StoredManifest,
    TagDetails,
    read_json,
)
from tests.gitlab.played_registry import INDEX, MANIFEST, START, digest

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


def test_bots_and_deploy_tokens_are_called_by_their_names(
    url: Any,
    played: Any,
    browser: Any,
    carol: Any,
    web: Any,
    make_access_token: Any,
    make_deploy_token: Any,
) -> None:
    bot = make_access_token(web.project, name="ci")[0].user.username
    played.push("acme/app/web", "Latest", "b", by=bot)
    played.push("acme/app/web", "Latest", "c", by=make_deploy_token(web.project)[0].username)

    page = browser(carol).get(url).content.decode()
    assert "by token ci of acme/app" in page
    assert "by deploy token test" in page
    assert bot not in page


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
    # What says something about them is no platform, and stands with what belongs to the index.
    assert "unknown" not in page
    assert page.index("What belongs to it") < page.index(digest("3"))


@pytest.mark.parametrize("tag", ["delete", "deleted", "container_registry", "restore", "list"])
def test_a_tag_that_is_called_as_a_page_is(
    url: Any, played: Any, browser: Any, carol: Any, tag: Any
) -> None:
    played.push("acme/app/web", tag, "b")
    page = browser(carol).get(f"{url.rpartition('/')[0]}/{tag}").content.decode()
    assert f"acme/app/web:{tag}" in page
    assert digest("b") in page


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


# The largest content, and text that is no text


def listing(count: int, **more: Any) -> bytes:
    """An index of `count` platforms, all different."""
    children = [
        {
            "digest": f"sha256:{number:064x}",
            "size": 1,
            "mediaType": MANIFEST,
            "platform": {"os": "linux", "architecture": f"arch{number}"},
        }
        for number in range(count)
    ]
    return json.dumps({"manifests": children, **more}).encode()


def test_an_index_of_ten_thousand_platforms(
    url: Any, played: Any, browser: Any, carol: Any
) -> None:
    played.manifests[digest("b")] = StoredManifest(INDEX, listing(10_000))
    played.push("acme/app/web", "Latest", "b", media_type=INDEX)
    page = browser(carol).get(url)
    assert len(page.content) < 1024 * 1024
    assert page.content.count(b"Copy pull command") == 100
    assert "1–100 of 10,000".encode() in page.content
    assert page.context["later_url"] == "?after=100#parts"
    last = browser(carol).get(f"{url}?after=9900")
    assert b"linux/arch9999" in last.content
    assert last.context["later_url"] == ""


def test_an_image_of_ten_thousand_layers(url: Any, played: Any, browser: Any, carol: Any) -> None:
    layers = json.loads(listing(10_000))["manifests"]
    payload = json.dumps({"layers": layers}).encode()
    played.manifests[digest("b")] = StoredManifest(MANIFEST, payload)
    played.push("acme/app/web", "Latest", "b")
    page = browser(carol).get(url).content
    assert len(page) < 1024 * 1024
    assert b"and 9,900 more, which the manifest lists" in page


def test_a_manifest_that_would_fill_the_memory_is_not_read() -> None:
    full = b'{"manifests": [' + b",".join([b"[]"] * 1_300_000) + b"]}"
    tracemalloc.start()
    assert StoredManifest(INDEX, full).parts("manifests") == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024 * 1024
    deep = b'{"manifests": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert StoredManifest(INDEX, deep).parts("manifests") == []


def test_a_long_history_has_pages(url: Any, played: Any, browser: Any, bob: Any) -> None:
    for number in range(60):
        played.push("acme/app/web", "Latest", "ab"[number % 2])
    first = browser(bob).get(url)
    assert len(first.context["history"]) == 50
    older = browser(bob).get(f"{url}{first.context['older_url']}")
    ids = [line["past"].id for page in (first, older) for line in page.context["history"]]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 60
    assert older.context["older_url"] == ""
    for odd in ("x", "-1", "9" * 30, "\u0661"):
        assert browser(bob).get(f"{url}?behind={odd}").context["history"]


HOSTILE = ["\ud800", "a\udfffb", "\0", "<b>&", "\u202e", "x" * 10_000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_text_that_is_no_text(url: Any, played: Any, browser: Any, carol: Any, text: str) -> None:
    """In every field that a registry tells, read as its answers are read, and on every page."""
    part = {"digest": text, "size": 1, "mediaType": text, "artifactType": text}
    document = {
        "manifests": [{**part, "platform": {"os": text, "architecture": text, "variant": text}}],
        "layers": [part],
        "annotations": {text: text},
    }
    details = {
        **dict.fromkeys(("digest", "media_type", "config_digest", "artifact_type"), text),
        **dict.fromkeys(("created_at", "published_at", "published_by"), text),
        "platforms": [{"os": text, "architecture": text, "variant": text}],
        "name": "Latest",
    }
    past = dict.fromkeys(("digest", "from", "until", "pushed_by", "ended_by"), text) | {"id": 1}
    played.push("acme/app/web", "Latest", "b")
    read = read_json(json.dumps([details, past]).encode())
    played.now["acme/app/web"]["Latest"] = TagDetails.read(read[0])
    played.past["acme/app/web", "Latest"] = [Interval.read(read[1])]
    found = played.now["acme/app/web"]["Latest"]
    played.manifests[found.digest] = StoredManifest(INDEX, json.dumps(document).encode())
    for address in (url, url.rpartition("/tags/")[0], url.rpartition("/tags/")[0] + "/tags/delete"):
        page = browser(carol).get(address)
        assert page.status_code in (200, 403, 404)
        assert b"<b>&" not in page.content
    assert browser(carol).get(url).status_code == 200


def test_pulls_by_day_and_by_whom(url: Any, played: Any, browser: Any, carol: Any) -> None:
    played.push(
        "acme/app/web", "Latest", "b", last_pulled_at=START, pulls=1500, pulls_counted_since=START
    )
    page = browser(carol).get(url).content.decode()
    assert "Nobody has pulled this image in 30 days" in page
    played.daily["acme/app/web", digest("b")] = [
        DailyPulls(dt.date(2026, 11, 20), "anonymous", 3),
        DailyPulls(dt.date(2026, 11, 20), "job", 9),
        DailyPulls(dt.date(2026, 11, 18), "something new", 4),
    ]
    page = browser(carol).get(url).content.decode()
    assert (
        "Of this image by tag or digest in 30 days: 9 by CI jobs, 4 otherwise, 3 by visitors"
        in page
    )
    assert "9 by CI jobs, 3 by visitors" in page
    assert page.index("2026-11-20") < page.index("2026-11-18")
    assert re.findall(r'aria-valuenow="([\d.]+)"', page) == ["100.00", "33.33"]
    assert "1,500 of this image in all" in page


def test_a_registry_that_counts_no_pulls(url: Any, played: Any, browser: Any, carol: Any) -> None:
    """An older one of ours does not say since when."""
    played.push("acme/app/web", "Latest", "b")
    page = browser(carol).get(url).content.decode()
    assert 'id="pulls"' not in page
    assert "Last pulled" not in page

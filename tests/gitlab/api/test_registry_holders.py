"""Why a digest is still in an image, and still here at all."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import Held, Holder
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.played_registry import digest

pytestmark = pytest.mark.django_db
AT = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


@pytest.fixture
def here(app: Any, web: Any, played: Any) -> str:
    """The address of what holds a digest of an image, of which one tag is known."""
    chain = ({"kind": "manifest", "digest": digest("b")}, {"kind": "tag", "name": "v1"})
    held = Held(digest("a"), "held", ("blob",), 7, True, holders=(Holder(web.path, chain),))
    played.held[web.path, digest("a")] = held
    played.held[web.path, digest("c")] = Held(
        digest("c"), "garbage", ("manifest",), 9, True, AT, "tag deleted"
    )
    played.held["", digest("a")] = held
    return f"projects/{app.pk}/registry/repositories/{web.pk}/holders?digest="


def test_what_holds_it(api: Api, bob: Any, here: str) -> None:
    answer = api(bob).get(f"{here}{digest('a')}")
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "digest": digest("a"),
        "state": "held",
        "kinds": ["blob"],
        "size": 7,
        "stored": True,
        "goes_at": None,
        "because": "",
        "paused_until": None,
        "complete": True,
        "holders": [
            {
                "path": "acme/app/web",
                "chain": [
                    {"kind": "manifest", "digest": digest("b")},
                    {"kind": "tag", "name": "v1"},
                ],
                "until": None,
            }
        ],
    }
    goes = api(bob).get(f"{here}{digest('c')}").json()
    assert (goes["state"], goes["because"]) == ("garbage", "tag deleted")
    assert goes["goes_at"] == "2026-11-30T12:00:00.000Z"


def test_what_is_refused(api: Api, bob: Any, here: str, played: Any) -> None:
    client = api(bob)
    assert_refused(client.get(f"{here}{digest('d')}"), 404, "404 Digest Not Found")
    for wrong in ("sha256:0", "latest", f"{digest('a')}0", "md5:0", digest("A")):
        assert_refused(client.get(f"{here}{wrong}"), 400, "digest is invalid")
    assert_refused(client.get(here), 400, "digest is empty")
    played.trouble = RegistryUnavailable("no answer")
    assert_refused(client.get(f"{here}{digest('a')}"), 503)
    played.trouble, played.has_own_api = None, False
    assert_refused(client.get(f"{here}{digest('a')}"), 404, "can't tell")


def test_who_may(
    api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, root: Any, here: str
) -> None:
    path = f"{here}{digest('a')}"
    for client, status in ((api(carol), 403), (api(mallory), 404), (api(), 401)):
        assert_refused(client.get(path), status)
    for client, status in ((api(alice), 403), (api(bob), 403), (api(), 401)):
        assert_refused(client.get(f"registry/holders?digest={digest('a')}"), status)
    assert api(root).get(f"registry/holders?digest={digest('a')}").json()["state"] == "held"
    assert_refused(api(root).get(f"registry/holders?digest={digest('c')}"), 404)

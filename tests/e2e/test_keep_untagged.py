"""A project that keeps images without a tag: from its page to what the collector leaves."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.browsing import Browser
from tests.e2e.conftest import Person
from tests.e2e.installation import Installation, wait_until
from tests.e2e.wire import Collector, Wire
from tests.people import PASSWORD

pytestmark = [pytest.mark.e2e]

PROJECT = "alice/pins"


@pytest.fixture
def quick(make_installation: Any) -> Installation:
    installation: Installation = make_installation(
        BERTH__GC_REVIEW_DELAY="5s", BERTH__UNDO_WINDOW="1s", BERTH__UPLOAD_EXPIRY="20s"
    )
    installation.create_user("alice")
    for path in (PROJECT, "alice/litter"):
        installation.create_project(path, owner="alice")
    return installation


def collects(installation: Installation) -> bool:
    """Whether the registry collects the project's images without a tag."""
    answer = httpx.get(
        f"{installation.registry_url}/gitlab/v1/repositories/{PROJECT}/",
        headers={"Authorization": f"Bearer {installation.token(f'repository:{PROJECT}:pull')}"},
    )
    answer.raise_for_status()
    return bool(answer.json()["collect_untagged"])


def test_what_a_digest_was_pinned_to_stays_until_the_project_says_otherwise(
    quick: Installation,
) -> None:
    browser = Browser(quick, Person("alice", PASSWORD))
    collector = Collector(quick)
    # As it was: who loses a right would have to ask for a token again, which `Wire` does not.
    form = {"name": "pins", "visibility": "private", "registry_access": "enabled"}
    with Wire(quick, PROJECT) as wire, Wire(quick, "alice/litter") as other:
        pinned = wire.push(images.tiny("pinned"), "1")
        browser.send(f"/{PROJECT}/edit", **form, keep_untagged="on")
        # The worker tells the registry.
        wait_until(lambda: not collects(quick), timeout=90)
        wire.push(images.tiny("next"), "1")
        # Pushed later and without a tag: once it has gone, the other has been looked at.
        litter = other.push(images.tiny("litter"))
        collector.until(lambda: not other.is_there(litter["digest"]))
        assert wire.is_there(pinned["digest"])

        browser.send(f"/{PROJECT}/edit", **form)
        wait_until(lambda: collects(quick), timeout=90)
        collector.until(lambda: not wire.is_there(pinned["digest"]))
        assert wire.is_there("1")

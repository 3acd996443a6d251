"""A token that was issued before a deletion pushes after it: the image is known again."""

from __future__ import annotations

import pytest

from tests.e2e import images
from tests.e2e.browsing import Browser
from tests.e2e.conftest import Person
from tests.e2e.images import MANIFEST
from tests.e2e.installation import Installation, wait_until
from tests.e2e.wire import Wire

pytestmark = pytest.mark.e2e


def known(berth: Installation, name: str) -> int | None:
    """GitLab's id of an image, None where it knows none of that name."""
    found: int | None = berth.run_python(
        "from gitlab.container_registry.models import ContainerRepository\n"
        f"row = ContainerRepository.objects.filter(path={name!r}).first()\n"
        "answer = row and row.pk"
    )
    return found


def push(wire: Wire, image: images.Image, tag: str) -> None:
    for blob in (image.config, *image.blobs):
        wire.push_blob(blob)
    headers = {"Content-Type": MANIFEST}
    assert wire.http.put(f"manifests/{tag}", content=image.manifest, headers=headers).is_success


def test_the_worker_reads_of_it(berth: Installation, alice: Person, project: str) -> None:
    with Wire(berth, project, username=alice.username) as stale:
        push(stale, images.tiny(project), "before")
        first = known(berth, project)
        Browser(berth, alice).send(f"/{project}/container_registry/{first}/delete")
        wait_until(lambda: known(berth, project) is None, timeout=120)
        assert stale.http.get("tags/list").status_code == 404
        push(stale, images.tiny(f"{project} again"), "after")
    second = wait_until(lambda: known(berth, project), timeout=120, interval=1)
    assert second != first
    page = Browser(berth, alice).read(f"/{project}/container_registry/{second}")
    assert "1 tag ·" in page

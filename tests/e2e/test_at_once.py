"""Many clients at once: what was answered with 201 is there afterwards, whole."""

from __future__ import annotations

import hashlib
import itertools
import random
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import images
from tests.e2e.clients import Refused, Skopeo, trust
from tests.e2e.images import Image, digest_of
from tests.e2e.installation import Installation
from tests.e2e.wire import Collector, Walk, Wire

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("at-once")]

CLIENTS = 10
_numbers = itertools.count()


@pytest.fixture
def repository() -> str:
    """A name that no other test uses."""
    return f"root/at-once-{next(_numbers)}"


@pytest.fixture
def signed_in(skopeo: Skopeo, berth: Installation) -> Skopeo:
    skopeo.login(berth.registry, "root", berth.root_password)
    return skopeo


def push(skopeo: Skopeo, berth: Installation, layout: Path, name: str) -> None:
    skopeo("copy", trust(berth, "dest-"), f"oci:{layout}", f"docker://{berth.registry}/{name}")


def pull(skopeo: Skopeo, berth: Installation, name: str, to: Path) -> set[str]:
    """Pull an image; the digests of its content, recomputed from the bytes."""
    skopeo("copy", trust(berth, "src-"), f"docker://{berth.registry}/{name}", f"oci:{to}")
    found = images.layout_blobs(to)
    shutil.rmtree(to)
    return found


def content(image: Image) -> set[str]:
    """The digests of all that an image is made of."""
    return {digest_of(one) for one in (*image.blobs, image.config, image.manifest)}


def all_at_once(work: Callable[[int], Any], count: int = CLIENTS) -> list[Any]:
    """`work` with each number below `count`, in as many threads."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_ten_push_the_same_image(
    signed_in: Skopeo, berth: Installation, repository: str, tmp_path: Path
) -> None:
    image = Image((*images.large(2, seed=21).layers, *images.many_layers(6).layers))
    layout = images.write_layout(tmp_path / "there", image)
    all_at_once(lambda n: push(signed_in, berth, layout, f"{repository}:same"))
    assert Walk(berth).repository(repository) == {"same": digest_of(image.manifest)}
    # Each also under a tag of its own.
    all_at_once(lambda n: push(signed_in, berth, layout, f"{repository}:own-{n}"))
    assert set(Walk(berth).repository(repository).values()) == {digest_of(image.manifest)}
    assert pull(signed_in, berth, f"{repository}:own-3", tmp_path / "back") == content(image)


def test_ten_push_images_that_share_layers(
    signed_in: Skopeo, berth: Installation, repository: str, tmp_path: Path
) -> None:
    """To ten repositories and to one; the shared layers are kept once."""
    shared = images.large(2, seed=22).layers
    made = [Image((*shared, images.layer({"own": b"%d" % n}))) for n in range(CLIENTS)]
    layouts = [images.write_layout(tmp_path / f"there-{n}", image) for n, image in enumerate(made)]
    before = berth.bytes_on_disk()

    def work(n: int) -> None:
        push(signed_in, berth, layouts[n], f"{repository}/{n}:1")
        push(signed_in, berth, layouts[n], f"{repository}:{n}")

    all_at_once(work)
    walk = Walk(berth)
    expected = {str(n): digest_of(image.manifest) for n, image in enumerate(made)}
    assert walk.repository(repository) == expected
    for n in range(CLIENTS):
        assert walk.repository(f"{repository}/{n}") == {"1": expected[str(n)]}
    assert berth.bytes_on_disk() - before < 3 * 1024 * 1024


def test_a_pull_while_its_tag_moves(
    signed_in: Skopeo, berth: Installation, repository: str, tmp_path: Path
) -> None:
    """Who pulls gets one of the two images, whole."""
    made = [Image((*images.many_layers(4).layers, images.layer({"turn": t}))) for t in (b"a", b"b")]
    with Wire(berth, repository) as wire:
        for image in made:
            wire.push(image, "moves")
        done = threading.Event()

        def move() -> int:
            for turns in itertools.count():
                wire.push_manifest(made[turns % 2].manifest, "moves")
                if done.wait(0.01):
                    return turns
            raise AssertionError

        with ThreadPoolExecutor(1) as mover:
            moved = mover.submit(move)
            try:
                found = all_at_once(
                    lambda n: pull(signed_in, berth, f"{repository}:moves", tmp_path / str(n)), 12
                )
            finally:
                done.set()
            assert moved.result() > 1
    assert all(one in [content(image) for image in made] for one in found)


@pytest.fixture
def quick(make_installation: Any) -> Installation:
    """Collects what nobody holds within seconds."""
    installation: Installation = make_installation(
        BERTH__GC_REVIEW_DELAY="5s", BERTH__UNDO_WINDOW="1s", BERTH__UPLOAD_EXPIRY="30s"
    )
    return installation


def test_a_deletion_during_a_pull(quick: Installation, skopeo: Skopeo, tmp_path: Path) -> None:
    """What has begun to come arrives whole, though its file has gone; the next pull is refused."""
    skopeo.login(quick.registry, "root", quick.root_password)
    collector = Collector(quick)
    image = images.large(16, seed=23)
    before = quick.bytes_on_disk()
    with Wire(quick, "root/deleted") as wire:
        digest = wire.push(image, "1")["digest"]
        blob = image.blobs[0]
        with wire.http.stream("GET", f"blobs/{digest_of(blob)}") as answer:
            assert answer.status_code == 200
            parts = answer.iter_raw(65_536)
            hashed = hashlib.sha256(next(parts))
            scope = "repository:root/deleted:delete"
            assert quick.request("DELETE", f"/v2/root/deleted/manifests/{digest}", scope).is_success
            collector.until(lambda: quick.bytes_on_disk() <= before)
            for part in parts:
                hashed.update(part)
        assert f"sha256:{hashed.hexdigest()}" == digest_of(blob)
    with pytest.raises(Refused, match="unknown"):
        pull(skopeo, quick, "root/deleted:1", tmp_path / "back")


class Mix:
    """A client that pushes, moves, pulls and deletes tags of its own in repositories of all."""

    def __init__(self, number: int, site: Installation, skopeo: Skopeo, folder: Path) -> None:
        self.number, self.site, self.skopeo, self.folder = number, site, skopeo, folder
        self.random = random.Random(number)
        self.acknowledged: dict[tuple[str, str], Image] = {}
        """By repository and tag: what was pushed last, and not deleted since."""
        self.refused: list[str] = []
        self.pulled = 0

    def run(self, until: float) -> None:
        """Go on until that moment."""
        steps = [self.push, self.push, self.push, self.pull, self.delete]
        for step in itertools.count():
            if time.monotonic() > until:
                return
            self.random.choice(steps)(step)

    def image(self) -> Image:
        """One of few, so that clients push what others have just deleted."""
        layers = [
            images.layer({"part": b"%d" % n * 5000})
            for n in self.random.sample(range(12), self.random.randint(1, 4))
        ]
        return Image(tuple(layers))

    def push(self, step: int) -> None:
        name = (f"root/mix-{self.random.randrange(3)}", f"c{self.number}-{step % 4}")
        image = self.image()
        layout = images.write_layout(self.folder / f"{self.number}-{step}", image)
        # Whether a push that fails has taken effect is unknown.
        before = self.acknowledged.pop(name, None)
        try:
            push(self.skopeo, self.site, layout, ":".join(name))
        except Refused as refused:
            # Slower than the grace, which is five seconds here and a day elsewhere.
            if "blob unknown" not in str(refused):
                raise
            self.refused.append(str(refused))
            if before is not None:
                self.acknowledged[name] = before
        else:
            self.acknowledged[name] = image
        finally:
            shutil.rmtree(layout)

    def pull(self, step: int) -> None:
        if self.acknowledged:
            name = self.random.choice(list(self.acknowledged))
            to = self.folder / f"{self.number}-{step}-back"
            found = pull(self.skopeo, self.site, ":".join(name), to)
            assert found == content(self.acknowledged[name])
            self.pulled += 1

    def delete(self, step: int) -> None:
        if self.acknowledged:
            name = self.random.choice(list(self.acknowledged))
            with Wire(self.site, name[0]) as wire:
                answer = wire.http.delete(f"manifests/{name[1]}")
            assert answer.status_code == 202, answer.text
            del self.acknowledged[name]


@pytest.mark.parametrize(
    "seconds", [pytest.param(15, id="15s"), pytest.param(120, id="120s", marks=pytest.mark.slow)]
)
def test_collection_under_a_mix_of_clients(
    quick: Installation, skopeo: Skopeo, tmp_path: Path, seconds: int
) -> None:
    """Ten clients push, pull and delete images of shared layers while garbage goes all the time."""
    skopeo.login(quick.registry, "root", quick.root_password)
    clients = [Mix(n, quick, skopeo, tmp_path) for n in range(CLIENTS)]
    until = time.monotonic() + seconds
    collector = Collector(quick)

    def work(n: int) -> None:
        if n < CLIENTS:
            clients[n].run(until)
        while n == CLIENTS and time.monotonic() < until:
            collector.review()

    all_at_once(work, CLIENTS + 1)
    expected: dict[str, dict[str, str]] = {}
    for client in clients:
        for (repository, tag), image in client.acknowledged.items():
            expected.setdefault(repository, {})[tag] = digest_of(image.manifest)
    walk = Walk(quick)
    for repository, tags in expected.items():
        found = walk.repository(repository)
        assert {tag: found.get(tag) for tag in tags} == tags
    pulls = sum(client.pulled for client in clients)
    refused = sum(len(client.refused) for client in clients)
    collected = quick.run_python(
        "from registry.models import Receipt\nanswer = Receipt.objects.count()"
    )
    print(f"{len(walk.blobs)} blobs, {pulls} pulls, {refused} refused, {collected} collected")
    assert collected > 0
    assert pulls > 0

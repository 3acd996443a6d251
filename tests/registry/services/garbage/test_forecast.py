"""The dry run against the real run that follows, and the reasons against what happens."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from registry.models import Blob, Manifest, Receipt, Review, Tag
from registry.services import repositories, tags
from registry.services.garbage import collection as garbage
from registry.services.garbage import forecast, holders, leases
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tests.registry.images import ALICE
from tests.registry.random_states import SEEDS, RandomRegistry
from tokens.access import Access

OTHER = "acme/other"

pytestmark = pytest.mark.django_db(databases=["registry"])


@pytest.fixture(autouse=True)
def _hours(settings: Any) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = dt.timedelta(hours=1)
    settings.UNDO_WINDOW = dt.timedelta(hours=2)


def stored(store: FilesystemStore) -> int:
    return sum(blob.size for blob in store.blobs())


def item_of(item: forecast.Item) -> tuple[str, str, str]:
    return item.kind, item.digest, item.repository


def what(kind: str, digest: str, repository: str) -> tuple[str, str, str]:
    """A blob that several repositories let go at once goes with any of them."""
    return kind, digest, repository if kind == "manifest" else ""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("grace", [0, 1])
def test_a_dry_run_says_what_the_next_run_does(
    seed: int, grace: int, clock: Any, settings: Any, store: FilesystemStore
) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = dt.timedelta(hours=grace)
    registry = RandomRegistry(seed, clock)
    for _ in range(4):
        registry.do(25)
        clock.advance(minutes=45 * (seed % 5))
        moment = clock.now()
        clock.now_is(moment)
        before, last = stored(store), Receipt.objects.order_by("-pk").first()
        rows = (Manifest.objects.count(), Blob.objects.count(), Review.objects.count())
        said = forecast.forecast(10_000)
        assert rows == (Manifest.objects.count(), Blob.objects.count(), Review.objects.count())
        run = garbage.review(10_000)
        did = Receipt.objects.filter(pk__gt=last.pk if last else 0)
        assert sorted(what(*item_of(item)) for item in said.items) == sorted(
            what(*row) for row in did.values_list("kind", "digest", "repository")
        )
        assert said.removed == run.removed
        assert said.bytes == run.bytes == before - stored(store)
        assert said.is_whole
        clock.runs_again()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_reason_comes_true(seed: int, clock: Any) -> None:
    """What is held for good is there after weeks. What goes at a time is there just before it."""
    RandomRegistry(100 + seed, clock).do(100)
    answers = {
        digest: holders.why(digest)
        for digest in [
            *Blob.objects.values_list("digest", flat=True),
            *Manifest.objects.values_list("digest", flat=True),
        ]
    }
    assert answers
    # However slow the machine is: each look is a second before something goes.
    clock.now_is(clock.now())
    goes = sorted({a.goes_at for a in answers.values() if a.goes_at}, key=lambda at: at)
    for at in goes:
        if at > clock.now():
            clock.advance(seconds=(at - clock.now()).total_seconds() - 1)
            garbage.review(10_000)
        expected = {d for d, a in answers.items() if a.goes_at is None or a.goes_at > clock.now()}
        assert expected <= here(), [answers[d] for d in expected - here()]
    for _ in range(12):
        clock.advance(hours=5)
        garbage.review(10_000)
    assert here() == {digest for digest, a in answers.items() if a.goes_at is None}
    for digest in set(answers) - here():
        assert holders.why(digest).state == "removed"


def here() -> set[str]:
    return {
        *Blob.objects.values_list("digest", flat=True),
        *Manifest.objects.values_list("digest", flat=True),
    }


def test_what_follows_is_counted_once(clock: Any) -> None:
    shared, alone = images.content(1000), images.content(50)
    first = images.push_image(APP, "v1", layers=[shared, alone], config=b"{}")
    images.push_image(APP, "v2", layers=[shared], config=b'{"a": 1}')
    images.push_image(OTHER, "v1", layers=[shared], config=b"{}")
    tags.delete(APP, "v1", ALICE)
    clock.advance(hours=3)
    said = forecast.forecast(100)
    assert [item.digest for item in said.items] == [first.digest]
    assert (said.bytes, said.bytes_later) == (0, 50)
    assert {item.digest for item in said.later} == {first.layers[1]}
    Tag.objects.filter(name="v2", repository__name=APP).delete()
    Review.objects.create(
        kind="manifest",
        target=Manifest.objects.filter(repository__name=APP).order_by("-pk").first().pk,
        reason="tag deleted",
        due_at=clock.now(),
    )
    assert forecast.forecast(100).bytes_later == 50 + len(b'{"a": 1}')
    repositories.close(OTHER, ALICE)
    clock.advance(hours=3)
    assert forecast.forecast(100).bytes_later == 1000 + 50 + len(b'{"a": 1}') + len(b"{}")
    assert not forecast.forecast(1).is_whole


def test_within_one_image(clock: Any, gitlab: Person, alice: Person) -> None:
    layer = images.content(1000)
    image = images.push_image(APP, "v1", layers=[layer])
    images.push_image(OTHER, "v1", layers=[layer])
    elsewhere = images.push_image(OTHER, "v2")
    shared = image.layers[0]
    only_here = [Access.repository(APP, "pull"), Access.repository(f"{APP}/*", "pull")]
    token = mint(None, *only_here)

    def ask(digest: str) -> Any:
        path = f"/gitlab/v1/berth/holders/{APP}/?digest={digest}"
        return gitlab.send("GET", path, token=token)

    found = ask(shared).json()
    assert (found["state"], found["kinds"], found["stored"]) == ("held", ["blob"], True)
    assert {holder["repository"] for holder in found["holders"]} == {APP}
    for digest in (elsewhere.digest, elsewhere.layers[0], f"sha256:{'0' * 64}"):
        answer = ask(digest)
        assert answer.status_code == 404
        assert answer.json() == {
            **answer.json(),
            "state": "unknown",
            "stored": False,
            "bytes": None,
        }
    # What only other images hold still goes from this one.
    tags.delete(APP, "v1", ALICE)
    assert ask(shared).json()["state"] == "garbage"
    assert ask("sha256:0").status_code == 400
    nowhere = gitlab.send(
        "GET",
        f"/gitlab/v1/berth/holders/acme/none/?digest={shared}",
        token=mint(None, *(Access.repository(f"acme/none{end}", "pull") for end in ("", "/*"))),
    )
    assert nowhere.status_code == 404
    # People's tokens never cover what is below.
    of_alice = alice.send("GET", f"/gitlab/v1/berth/holders/{APP}/?digest={shared}")
    assert of_alice.status_code == 401


def test_over_the_wire(clock: Any, gitlab: Person, alice: Person) -> None:
    child = images.push_image(APP, None)
    images.push_index(APP, "multi", [child.descriptor])
    answer = gitlab.send("GET", f"/gitlab/v1/garbage/why/{child.layers[0]}").json()
    assert answer["state"] == "held"
    assert [step["kind"] for step in answer["holders"][0]["chain"]] == [
        "manifest", "index", "manifest", "tag",
    ]  # fmt: skip
    assert answer["holders"][0]["chain"][-1]["name"] == "multi"
    assert gitlab.send("GET", f"/gitlab/v1/garbage/why/sha256:{'0' * 64}").status_code == 404
    assert gitlab.send("GET", "/gitlab/v1/garbage/why/sha256:0").status_code == 400
    assert alice.send("GET", f"/gitlab/v1/garbage/why/{child.digest}").status_code == 401
    tags.delete(APP, "multi", ALICE)
    clock.advance(hours=3)
    said = gitlab.send("POST", "/gitlab/v1/garbage/reviews/?dry_run=true").json()
    assert said["dry_run"]
    assert said["removed"] == 1
    assert said["removed_later"] == 3  # The child, its layer and its config, and nothing twice.
    assert said["items"][0]["reason"] == "tag deleted"
    assert Manifest.objects.count() == 2


def test_a_lease_pauses_the_collector(clock: Any, gitlab: Person, alice: Person) -> None:
    images.push_image(APP, "v1")
    tags.delete(APP, "v1", ALICE)
    clock.advance(hours=3)
    assert alice.send("POST", "/gitlab/v1/garbage/lease/").status_code == 401
    lease = gitlab.send("POST", "/gitlab/v1/garbage/lease/?seconds=7200&reason=backup")
    assert lease.status_code == 201
    state = gitlab.send("GET", "/gitlab/v1/garbage/").json()
    assert state["paused_because"] == "backup"
    assert state["due"] == 1
    run = gitlab.send("POST", "/gitlab/v1/garbage/reviews/").json()
    assert (run["reviewed"], run["removed"]) == (0, 0)
    renewed = f"/gitlab/v1/garbage/lease/?id={lease.json()['id']}&seconds=7200"
    assert gitlab.send("POST", renewed).status_code == 204
    assert (
        gitlab.send("DELETE", f"/gitlab/v1/garbage/lease/?id={lease.json()['id']}").status_code
        == 204
    )
    assert gitlab.send("POST", renewed).status_code == 404
    assert gitlab.send("POST", "/gitlab/v1/garbage/reviews/").json()["removed"] == 1
    for bad in ("seconds=0", "seconds=x", "seconds=999999999", "id=7"):
        assert gitlab.send("POST", f"/gitlab/v1/garbage/lease/?{bad}").status_code == 400


def test_a_lease_ends_by_itself(clock: Any) -> None:
    leases.take(dt.timedelta(hours=1), "a backup that was killed")
    assert leases.is_paused()
    clock.advance(hours=2)
    assert not leases.is_paused()


def test_a_signature_of_old_cosign_follows_its_image(clock: Any) -> None:
    image = images.push_image(APP, "v1")
    signature = images.push_image(APP, f"{image.digest.replace(':', '-')}.sig")
    tags.delete(APP, "v1", ALICE)
    clock.advance(hours=3)
    said = forecast.forecast(100)
    assert [item.digest for item in said.items] == [image.digest]
    assert signature.digest in {item.digest for item in said.later}

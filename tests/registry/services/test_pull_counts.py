"""Pulls are counted in memory, and written down once."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.models import DailyPulls, Manifest, ManifestPulls, Repository
from registry.services import (
    database,
    manifests,
    pull_counts,
    pull_details,
    renaming,
    repositories,
    retention,
    tags,
)
from registry.services.garbage import collection
from tests.registry import images
from tests.registry.base import APP, Person, answer_at_once, mint
from tokens.access import Access
from tokens.issue import issue

pytestmark = pytest.mark.django_db(databases=["registry"])

PULL = Access.repository(APP, "pull")


@pytest.fixture(autouse=True)
def _asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a second time, to compare the two ways of answering."""
    monkeypatch.setattr(Person, "compares", False)


@pytest.fixture(autouse=True)
def _counts_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_counts, "_seconds", lambda: timezone.now().timestamp())


def ask(reference: str, method: str = "GET", *, token: str | None = None) -> None:
    """A request on the path that every pull takes."""
    environ = RequestFactory(HTTP_HOST="registry.example").generic(
        method, f"/v2/{APP}/manifests/{reference}"
    )
    found = answer_at_once(
        {**environ.META, "HTTP_AUTHORIZATION": f"Bearer {token or mint('carol', PULL)}"}
    )
    assert found is not None
    assert found.status == "200 OK"


def counted(digest: str = "") -> int:
    """The pulls of a manifest on all days, or of the repository."""
    found = DailyPulls.objects.filter(repository__name=APP, digest=digest, tag="")
    return sum(found.values_list("pulls", flat=True))


def total(digest: str) -> tuple[int, dt.datetime | None]:
    manifest = Manifest.objects.get(digest=digest)
    found = pull_details.of_manifests([manifest.pk]).get(manifest.pk, pull_details.NEVER)
    return found.pulls, found.last_at


def test_a_pull_by_tag_counts_for_the_tag_its_digest_and_the_repository(clock: Any) -> None:
    image = images.push_image(APP, "v1")
    clock.now_is(dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC))
    ask("v1")
    clock.advance(hours=1)
    ask("v1")
    clock.advance(hours=1)
    ask(image.digest)
    assert not DailyPulls.objects.exists()
    assert pull_counts.flush()
    day = dt.date(2026, 11, 20)
    assert set(DailyPulls.objects.values_list("digest", "tag", "day", "kind", "pulls")) == {
        ("", "", day, "other", 3),
        (image.digest, "", day, "other", 3),
        (image.digest, "v1", day, "other", 2),
    }
    assert total(image.digest) == (3, clock.now())
    (tag,) = DailyPulls.objects.filter(tag="v1")
    assert tag.last_at == clock.now() - dt.timedelta(hours=1)


@pytest.mark.parametrize("before_django", [True, False])
def test_only_a_get_that_is_answered_counts(carol: Person, before_django: bool) -> None:
    image = images.push_image(APP, "v1")
    path = f"/v2/{APP}/manifests"
    if before_django:
        ask("v1", "HEAD")
        ask("v1")
    else:
        assert carol.send("HEAD", f"{path}/v1").status_code == 200
        assert carol.send("GET", f"{path}/v1").status_code == 200
    for other in (f"{path}/v2", f"{path}/sha256:{'0' * 64}", f"/v2/{APP}/tags/list"):
        carol.send("GET", other)
    carol.send("GET", f"/v2/{APP}/blobs/{image.config}")
    pull_counts.flush()
    assert counted() == 1


def test_a_get_with_a_condition_counts_and_a_head_with_one_does_not(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    for method in ("GET", "HEAD"):
        response = carol.send(method, f"/v2/{APP}/manifests/v1", If_None_Match=f'"{image.digest}"')
        assert response.status_code == 304
    pull_counts.flush()
    assert counted() == 1


def test_who_may_not_counts_for_nothing(nobody: Person, mallory: Person) -> None:
    images.push_image(APP, "v1")
    for person in (nobody, mallory):
        assert person.send("GET", f"/v2/{APP}/manifests/v1").status_code == 401
    pull_counts.flush()
    assert counted() == 0


def test_gitlabs_own_tokens_count_for_nothing(gitlab: Person) -> None:
    """Those of its pages and jobs."""
    images.push_image(APP, "v1")
    assert gitlab.send("GET", f"/v2/{APP}/manifests/v1").status_code == 200
    ask("v1", token=mint(None, PULL))
    pull_counts.flush()
    assert counted() == 0


@pytest.mark.parametrize(
    ("subject", "auth_type", "kind"),
    [
        ("bob", "gitlab_or_ldap", "password"),
        ("bob", "personal_access_token", "access_token"),
        ("gitlab+deploy-token-1", "deploy_token", "deploy_token"),
        ("bob", "build", "job"),
        ("trust-1", "id_token", "id_token"),
        ("", "none", "anonymous"),
        ("bob", None, "other"),
        ("bob", "x" * 500, "other"),
    ],
)
def test_by_the_kind_of_credential(subject: str, auth_type: str | None, kind: str) -> None:
    images.push_image(APP, "v1")
    ask("v1", token=issue([PULL], subject=subject, auth_type=auth_type).text)
    pull_counts.flush()
    assert set(DailyPulls.objects.values_list("kind", flat=True)) == {kind}
    assert kind in pull_counts.KINDS


def test_what_an_index_lists_is_a_part_of_its_pull() -> None:
    """It counts for its digest, and neither for the repository nor for the index; by a tag of its
    own it is a pull like another.
    """
    child = images.push_image(APP, "amd64")
    index = images.push_index(APP, "latest", [child.descriptor])
    ask("latest", "HEAD")
    ask(index.digest)
    ask(child.digest)
    pull_counts.flush()
    assert (counted(), counted(index.digest), counted(child.digest)) == (1, 1, 1)
    ask("amd64")
    pull_counts.flush()
    assert (counted(), counted(index.digest), counted(child.digest)) == (2, 1, 2)


def test_writing_down_twice_counts_once() -> None:
    image = images.push_image(APP, "v1")
    ask("v1")
    assert pull_counts.flush()
    assert pull_counts.flush()
    assert total(image.digest)[0] == counted() == 1
    ask("v1")
    ask("v1")
    assert pull_counts.flush()
    assert total(image.digest)[0] == counted() == 3


def test_the_last_pull_does_not_go_back(clock: Any) -> None:
    """Another process may write down later what it has counted before."""
    image = images.push_image(APP, "v1")
    clock.now_is(dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC))
    ask("v1")
    pull_counts.flush()
    latest = clock.now()
    clock.advance(seconds=-3)
    ask("v1")
    pull_counts.flush()
    assert total(image.digest) == (2, latest)
    assert set(DailyPulls.objects.values_list("last_at", flat=True)) == {latest}


def test_what_could_not_be_written_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, where the first batch went well the others alone; and it counts once."""
    monkeypatch.setattr(pull_counts, "_ROWS", 1)
    digests = [images.push_image(APP, f"v{number}").digest for number in range(3)]
    for number in range(3):
        ask(f"v{number}")
    rightly, calls = database.change, iter(range(100))

    def fail(sql: str, parameters: Any) -> int:
        if "dailypulls" in sql and next(calls) == 4:  # The second of three.
            raise OperationalError("gone")
        return rightly(sql, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(database, "change", fail)
        assert not pull_counts.flush()
    assert counted() == 1
    ask("v0")
    assert pull_counts.flush()
    assert sorted(total(digest)[0] for digest in digests) == [1, 1, 2]
    assert counted() == 4


def test_a_manifest_that_has_gone_meanwhile_is_left_out() -> None:
    gone, there = images.push_image(APP, "v1"), images.push_image(APP, "v2")
    ask("v1")
    ask("v2")
    tags.delete(APP, "v1", images.ALICE)
    Manifest.objects.filter(digest=gone.digest).update(deleted_at=None)
    key = pull_counts.Key(*next(iter(pull_counts._gathered._counts)))
    pull_counts._gathered.add(key._replace(manifest_id=2**40), 1, time.time(), gone.digest)
    assert pull_counts.flush()
    assert counted(there.digest) == 1
    assert not ManifestPulls.objects.filter(manifest_id=2**40).exists()


def test_a_pull_asks_nothing_more() -> None:
    """One query, as without counting."""
    image = images.push_image(APP, "v1")
    for reference in ("v1", image.digest):
        ask(reference)
        with CaptureQueriesContext(connections["registry"]) as captured:
            ask(reference)
        assert len(captured.captured_queries) == 1


def test_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is pulled while nothing can be written; what has a number is counted further."""
    monkeypatch.setattr(pull_counts, "MAX_KEYS", 3)
    hurried: list[bool] = []
    monkeypatch.setattr(
        pull_counts.Writer, "wake", lambda self, *, hurry=False: hurried.append(hurry)
    )
    for number in range(5):
        images.push_image(APP, f"v{number}")
        ask(f"v{number}")
        ask(f"v{number}")
    assert hurried == [False, False, True, False, True, False, True, True, True, True]
    before = pull_counts.NOT_COUNTED._value.get()
    assert len(pull_counts._gathered._counts) == 3
    assert pull_counts.flush()
    assert counted() == 6
    assert pull_counts.NOT_COUNTED._value.get() - before == 4
    ask("v4")
    assert pull_counts.flush()
    assert counted() == 7


def test_the_most_is_written_down_in_short_transactions() -> None:
    image = images.push_image(APP, "v1")
    ask("v1")
    key = pull_counts.Key(*next(iter(pull_counts._gathered._counts)))
    for number in range(1, pull_counts.MAX_KEYS):
        pull_counts._gathered.add(key._replace(tag=f"t{number}"), 1, time.time(), image.digest)
    with CaptureQueriesContext(connections["registry"]) as captured:
        assert pull_counts.flush()
    assert total(image.digest)[0] == counted() == pull_counts.MAX_KEYS
    statements = [q["sql"] for q in captured.captured_queries]
    written = [sql for sql in statements if "INTO registry_manifestpulls" in sql]
    assert len(written) == -(-pull_counts.MAX_KEYS // pull_counts._ROWS)


def test_threads_that_count_at_once_lose_nothing() -> None:
    gathered = pull_counts.Gathered()
    key = pull_counts.Key(1, 1, "", 20_000, "other")
    taken: list[int] = []
    at_once = threading.Barrier(5)

    def count() -> None:
        at_once.wait()
        for _ in range(2000):
            gathered.add(key, 1, 2e9, "sha256:0")

    def take() -> None:
        at_once.wait()
        for _ in range(200):
            taken.extend(count.pulls for count in gathered.take()[0].values())

    threads = [threading.Thread(target=each) for each in (count, count, count, count, take)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.extend(count.pulls for count in gathered.take()[0].values())
    assert sum(taken) == 8000


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_processes_that_write_at_once_neither_wait_in_a_ring_nor_lose_anything() -> None:
    """Each the same rows, in whatever order they were pulled."""
    digests = [images.push_image(APP, f"v{number}").digest for number in range(20)]
    for number in range(20):
        ask(f"v{number}")
    entries = list(pull_counts._gathered.take()[0].items())
    at_once, failed = threading.Barrier(3), []

    def write(order: int) -> None:
        gathered = pull_counts.Gathered()
        at_once.wait()
        try:
            for _ in range(10):
                for key, count in entries[::order]:
                    gathered.add(key, 1, count.last_at, count.digest)
                taken = sorted(gathered.take()[0].items(), key=lambda entry: entry[0])
                pull_counts._write(taken)
        except Exception as error:
            failed.append(error)
        finally:
            connections["registry"].close()

    threads = [threading.Thread(target=write, args=[order]) for order in (1, -1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [total(digest)[0] for digest in digests] == [30 if i % 3 == 0 else 20 for i in range(20)]
    assert counted() == 20 * 10 + 20 * 10 + 7 * 10


# What goes, and what stays


def test_days_that_are_old_go_in_batches(settings: Any, clock: Any) -> None:
    """How often in all, and when last, stays."""
    settings.REGISTRY_PULLS_KEPT = dt.timedelta(days=15)
    image = images.push_image(APP, "v1")
    for _ in range(5):
        ask("v1")
        pull_counts.flush()
        clock.advance(days=10)
    # Three rows a day, of which the last two are young enough, today being the fiftieth.
    assert DailyPulls.objects.count() == 15
    assert retention.sweep(7) == 7
    assert retention.sweep(100) == 5
    assert retention.sweep(100) == 0
    assert counted() == 1
    assert total(image.digest)[0] == 5


def test_days_may_be_kept_for_ever(settings: Any, clock: Any) -> None:
    settings.REGISTRY_PULLS_KEPT = dt.timedelta(0)
    images.push_image(APP, "v1")
    ask("v1")
    pull_counts.flush()
    clock.advance(days=5000)
    assert retention._sweep_pulls(100) == 0
    assert counted() == 1


def test_they_go_with_the_manifest_and_with_the_repository(clock: Any) -> None:
    image = images.push_image(APP, "v1")
    images.push_image(APP, "v2")
    ask("v1")
    ask("v2")
    pull_counts.flush()
    tags.delete(APP, "v1", images.ALICE)
    for _ in range(3):
        clock.advance(days=9)
        collection.review(100)
    assert not Manifest.objects.filter(digest=image.digest).exists()
    assert ManifestPulls.objects.count() == 1
    assert counted() == 2
    repositories.close(APP, images.ALICE)
    for _ in range(10):
        clock.advance(days=9)
        collection.review(100)
    assert not Repository.objects.exists()
    assert not ManifestPulls.objects.exists()
    assert not DailyPulls.objects.exists()


def test_they_follow_a_rename() -> None:
    image = images.push_image(APP, "v1")
    ask("v1")
    pull_counts.flush()
    renaming.rename(APP, "acme/other", images.ALICE, dry_run=False)
    pk = repositories.get_id("acme/other")
    assert pull_details.of_repository(pk).pulls == 1
    assert manifests.find("acme/other", "v1").digest == image.digest


# The thread


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[threading.Event]:
    """Events that are set one after the other, each time something is written down."""
    events = [threading.Event() for _ in range(3)]
    waiting = iter(events)

    def flush() -> bool:
        next(waiting).set()
        return True

    monkeypatch.setattr(pull_counts, "flush", flush)
    return events


def test_a_thread_writes_them_down(
    monkeypatch: pytest.MonkeyPatch, written: list[threading.Event]
) -> None:
    """After the interval; and at once where half of the room is taken."""
    writer = pull_counts.Writer()
    monkeypatch.setattr(pull_counts, "INTERVAL", 0.0)
    writer.wake()
    threading.Thread(target=writer.run, daemon=True).start()
    assert written[0].wait(30)
    monkeypatch.setattr(pull_counts, "INTERVAL", 3600.0)
    writer.wake(hurry=True)
    assert written[1].wait(30)


def test_a_fault_does_not_end_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on with what comes then."""
    written = threading.Event()
    results: list[Any] = [ValueError("a fault of ours"), False]

    def flush() -> bool:
        if not results:
            written.set()
            return True
        result = results.pop(0)
        if isinstance(result, Exception):
            writer.wake()
            raise result
        return bool(result)

    monkeypatch.setattr(pull_counts, "flush", flush)
    monkeypatch.setattr(pull_counts, "INTERVAL", 0.0)
    writer = pull_counts.Writer()
    writer.wake()
    threading.Thread(target=writer.run, daemon=True).start()
    assert written.wait(30)

"""The files of images, listed and compared by a job: once, for those who may, and not for ever."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.layers import jobs, requests, storing
from gitlab.container_registry.layers.comparing import ChangeKind
from gitlab.container_registry.layers.limits import Limits
from gitlab.container_registry.layers.models import Difference, FileJob, ListedLayer
from gitlab.jobs import leases
from gitlab.jobs.leases import Outcome
from gitlab.refusals import Forbidden, Invalid, NotFound, TooMany
from tests.gitlab.container_registry.layers.archives import (
    archive,
    digest_of,
    folder,
    gzipped,
    link,
    member,
    of_files,
)
from tests.gitlab.container_registry.layers.played_layers import push
from tests.gitlab.counted_registry import CountedRegistry

pytestmark = pytest.mark.django_db

BASE = of_files({"etc/os-release": b"12", "usr/bin/tool": b"x" * 900, "opt/old": b"y" * 70})
UPPER = of_files({"etc/os-release": b"13", "opt/.wh.old": b"", "srv/new": b"z" * 50})


@pytest.fixture(autouse=True)
def _enqueued(enqueued: Any) -> None:
    """Nothing is sent to a broker."""


def listing(played: Any, by: Any, web: Any, *layers: bytes) -> FileJob:
    return requests.request(by, web, push(played, *layers), registry=played)


def test_the_layers_of_an_image_are_read_once(played: Any, carol: Any, web: Any) -> None:
    row = listing(played, carol, web, BASE, UPPER)
    assert (row.status, row.total_bytes) == (
        "scheduled",
        len(gzipped(BASE)) + len(gzipped(UPPER)),
    )
    assert jobs.due() == [row.pk]
    assert jobs.run(row.pk, played) is Outcome.DONE
    row.refresh_from_db()
    assert (row.status, row.done_bytes) == ("finished", row.total_bytes)
    layers = storing.listed(row.layers)
    assert layers is not None
    assert [layer.entries_count for layer in layers] == [7, 6]
    assert requests.request(carol, web, row.digest, registry=played) == row
    assert jobs.due() == []
    assert jobs.run(row.pk, played) is Outcome.NOT_OURS


def test_a_layer_that_another_image_has_is_asked_for_and_not_read_again(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.run(listing(played, carol, web, BASE).pk, played)
    row = listing(played, carol, web, BASE, UPPER)
    asked: list[str] = []
    read = played.layer
    monkeypatch.setattr(
        played, "layer", lambda path, digest: (asked.append(digest), read(path, digest))[1]
    )
    assert jobs.run(row.pk, played) is Outcome.DONE
    assert asked == [digest_of(gzipped(UPPER))]


def test_layers_that_are_known_are_asked_for_at_once(played: Any, carol: Any, web: Any) -> None:
    known = [of_files({f"usr/{number}": b"x"}) for number in range(12)]
    jobs.run(listing(played, carol, web, *known).pk, played)
    counted = CountedRegistry(played)
    row = listing(played, carol, web, *known, UPPER)
    assert jobs.run(row.pk, counted) is Outcome.DONE  # type: ignore[arg-type]
    assert counted.asked == ["has_blobs", "layer"]


def test_a_listing_is_no_way_round_the_registry(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest may name a layer that its image does not have: a foreign one, say."""
    jobs.run(listing(played, carol, web, BASE).pk, played)
    row = listing(played, carol, web, BASE, UPPER)
    monkeypatch.setattr(played, "has_blob", lambda path, digest: digest != digest_of(gzipped(BASE)))
    assert jobs.run(row.pk, played) is Outcome.FAILED
    row.refresh_from_db()
    assert "not in this image" in row.failure_reason


def test_who_may_not_see_the_image_gets_nothing(
    played: Any, carol: Any, mallory: Any, web: Any
) -> None:
    with pytest.raises(NotFound):
        listing(played, mallory, web, BASE)
    assert not FileJob.objects.exists()
    row = listing(played, carol, web, BASE)
    carol.memberships.all().delete()
    assert jobs.run(row.pk, played) is Outcome.FAILED
    row.refresh_from_db()
    assert "Not allowed" in row.failure_reason
    assert not ListedLayer.objects.exists()


def test_somebody_has_so_many_at_once(played: Any, carol: Any, bob: Any, web: Any) -> None:
    layers = [of_files({f"f{n}": b""}) for n in range(requests.AT_ONCE + 1)]
    rows = [listing(played, carol, web, layer) for layer in layers[:-1]]
    with pytest.raises(TooMany, match="5 of your requests"):
        listing(played, carol, web, layers[-1])
    # What there is already costs nothing, and others have their own.
    assert listing(played, carol, web, layers[0]) == rows[0]
    listing(played, bob, web, layers[-1])
    jobs.run(rows[0].pk, played)
    listing(played, carol, web, BASE)


def test_what_is_no_archive_of_files_is_not_asked_for(played: Any, carol: Any, web: Any) -> None:
    with pytest.raises(Invalid, match="no layers with files"):
        requests.request(carol, web, push(played), registry=played)
    with pytest.raises(NotFound):
        requests.request(carol, web, digest_of(b"none"), registry=played)
    many = push(played, *(of_files({f"f{n}": b""}) for n in range(128)))
    with pytest.raises(Invalid, match="more than 127 layers"):
        requests.request(carol, web, many, registry=played)


def test_a_layer_over_the_limits_is_refused_before_it_is_read(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "LIMITS", Limits(packed=10))
    with pytest.raises(Invalid, match="more than 10 bytes"):
        listing(played, carol, web, BASE)


def test_a_registry_in_trouble_is_asked_again_and_at_last_no_more(
    played: Any, carol: Any, web: Any
) -> None:
    row = listing(played, carol, web, BASE)
    played.trouble = RegistryUnavailable("nobody answers")
    for _ in range(leases.MAX_FAILURES - 1):
        assert jobs.run(row.pk, played) is Outcome.LATER
        assert jobs.run(row.pk, played) is Outcome.NOT_OURS
        FileJob.objects.update(next_attempt_at=None)
    assert jobs.run(row.pk, played) is Outcome.FAILED
    played.trouble = None
    again = requests.request(carol, web, row.digest, registry=played)
    assert (again.pk, again.status, again.failures) == (row.pk, "scheduled", 0)
    assert jobs.run(row.pk, played) is Outcome.DONE


def test_a_job_has_an_end_in_time_and_goes_on_where_it_ended(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_SECONDS", 0)
    row = listing(played, carol, web, BASE, UPPER)
    assert jobs.run(row.pk, played) is Outcome.FAILED
    row.refresh_from_db()
    assert "ask again" in row.failure_reason
    assert ListedLayer.objects.count() == 1
    again = listing(played, carol, web, BASE, UPPER)
    assert jobs.run(again.pk, played) is Outcome.DONE


def test_other_bytes_than_the_digest_names_are_not_kept(played: Any, carol: Any, web: Any) -> None:
    row = listing(played, carol, web, BASE)
    played.blobs[digest_of(gzipped(BASE))] = gzipped(UPPER)
    assert jobs.run(row.pk, played) is Outcome.FAILED
    row.refresh_from_db()
    assert "other bytes" in row.failure_reason
    assert not ListedLayer.objects.exists()


def test_a_layer_that_is_gone_is_said(played: Any, carol: Any, web: Any) -> None:
    row = listing(played, carol, web, BASE)
    del played.blobs[digest_of(gzipped(BASE))]
    assert jobs.run(row.pk, played) is Outcome.FAILED
    row.refresh_from_db()
    assert row.failure_reason == "A layer can't be read: the registry answers 404."


def test_a_job_that_somebody_has_taken_over_writes_nothing_more(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_RENEWED_EVERY", 0)
    row = listing(played, carol, web, BASE)
    read = played.layer

    def taken_over(path: str, digest: str) -> Iterator[bytes]:
        for chunk in read(path, digest):
            yield chunk
            FileJob.objects.filter(pk=row.pk).update(lease="00000000-0000-4000-8000-000000000000")

    monkeypatch.setattr(played, "layer", taken_over)
    assert jobs.run(row.pk, played) is Outcome.NOT_OURS


def test_what_nobody_looks_at_goes(played: Any, carol: Any, web: Any) -> None:
    row = listing(played, carol, web, BASE)
    jobs.run(row.pk, played)
    FileJob.objects.update(used_at=timezone.now() - jobs.KEPT + dt.timedelta(hours=1))
    row.refresh_from_db()
    jobs.due()
    requests.touch(row)
    FileJob.objects.update(used_at=timezone.now() - jobs.KEPT - dt.timedelta(hours=1))
    assert FileJob.objects.exists()
    jobs.due()
    assert not FileJob.objects.exists()


def test_a_listing_that_was_removed_is_made_anew(played: Any, carol: Any, web: Any) -> None:
    row = listing(played, carol, web, BASE)
    jobs.run(row.pk, played)
    ListedLayer.objects.all().delete()
    assert requests.request(carol, web, row.digest, registry=played).status == "scheduled"
    assert jobs.run(row.pk, played) is Outcome.DONE
    assert ListedLayer.objects.exists()


# Comparing


def compared(played: Any, by: Any, web: Any, before: list[bytes], after: list[bytes]) -> FileJob:
    row = requests.request(
        by,
        web,
        push(played, *before),
        other=web,
        other_digest=push(played, *after),
        registry=played,
    )
    assert jobs.run(row.pk, played) is Outcome.DONE
    row.refresh_from_db()
    return row


def paths(row: FileJob, kind: str) -> list[str]:
    return [change.path for change in requests.changes_of(row, kind, 0)]


def test_files_of_two_images_are_compared(played: Any, carol: Any, web: Any) -> None:
    row = compared(played, carol, web, [BASE], [BASE, UPPER])
    assert row.totals == {
        "added": {"count": 1, "bytes": 50},
        "removed": {"count": 1, "bytes": -70},
        "changed": {"count": 1, "bytes": 0},
    }
    (added,) = requests.changes_of(row, ChangeKind.ADDED, 0)
    assert (added.path, added.after_kind, added.after_bytes, added.after_layer) == (
        "srv/new",
        "file",
        50,
        2,
    )
    (removed,) = requests.changes_of(row, ChangeKind.REMOVED, 0)
    assert (removed.path, removed.before_layer) == ("opt/old", 1)
    (changed,) = requests.changes_of(row, ChangeKind.CHANGED, 0)
    assert (changed.path, list(changed.what)) == ("etc/os-release", ["content"])
    assert requests.changes_of(row, ChangeKind.CHANGED, 1) == []


def test_what_is_other_is_told_in_words(played: Any, carol: Any, web: Any) -> None:
    before = archive(
        member("mode", b"x", mode=0o644),
        member("owner", b"x", uid=0),
        link("target", "one"),
        member("kind", b"x"),
        member("time", b"x", mtime=1),
        folder("etc", mode=0o755),
        member("etc/same", b"x"),
    )
    after = archive(
        member("mode", b"x", mode=0o4755),
        member("owner", b"x", uid=7),
        link("target", "two"),
        link("kind", "x"),
        member("time", b"x", mtime=2),
        folder("etc", mode=0o777),
        member("etc/same", b"x"),
    )
    row = compared(played, carol, web, [before], [after])
    found = {change.path: list(change.what) for change in requests.changes_of(row, "changed", 0)}
    assert found == {
        "mode": ["mode"],
        "owner": ["owner"],
        "target": ["target"],
        "kind": ["kind"],
        "etc": ["mode"],
    }


def test_the_largest_come_first_and_only_so_many_are_kept(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "PAGE", 2)
    monkeypatch.setattr(jobs, "PAGE", 2)
    monkeypatch.setattr("gitlab.container_registry.layers.comparing.MAX_KEPT", 3)
    row = compared(
        played, carol, web, [BASE], [BASE, of_files({f"f{n}": b"x" * n for n in range(9)})]
    )
    assert paths(row, "added") == ["f8", "f7"]
    assert [change.path for change in requests.changes_of(row, "added", 1)] == ["f6"]
    assert row.totals["added"]["count"] == 9
    assert Difference.objects.count() == 2


def test_a_comparison_ends(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_COMPARED", 2)
    assert compared(played, carol, web, [BASE], [UPPER]).is_cut


def test_a_comparison_ends_where_all_is_hidden(
    played: Any, carol: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_WALKED", 8)
    hidden = [of_files({f"etc/f{n}": b"" for n in range(9)}), of_files({".wh.etc": b""})]
    row = compared(played, carol, web, hidden, [UPPER])
    assert (row.status, row.is_cut) == ("finished", True)


def test_a_comparison_needs_rights_in_both(
    played: Any, alice: Any, carol: Any, web: Any, make_project: Any, make_image: Any
) -> None:
    hidden = make_image("alice2/secret/web", of=make_project("alice2/secret", owner=alice))
    before, after = push(played, BASE), push(played, UPPER)
    for one, other in ((web, hidden), (hidden, web)):
        with pytest.raises((NotFound, Forbidden)):
            requests.request(carol, one, before, other=other, other_digest=after, registry=played)
    row = requests.request(alice, web, before, other=hidden, other_digest=after, registry=played)
    assert jobs.run(row.pk, played) is Outcome.DONE

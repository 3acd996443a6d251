"""The largest content that pushes may store, for tests of what reads it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from registry import media_types
from registry.actor import Actor
from registry.manifest import MAX_REFERENCES
from registry.models import DailyPulls, Manifest, ManifestPulls, Repository, Tag
from registry.services import pull_counts, pushing
from tests.registry import images

LARGEST = 4 * 1024 * 1024
"""Bytes of a manifest: the default of ``berth.max_manifest_size``."""

SUBJECT = f"sha256:{'5' * 64}"
_PUSHER = Actor("alice", "x" * 4000)


def _push(name: str, tag: str | None, value: dict[str, Any]) -> str:
    payload = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(payload) <= LARGEST
    digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    pushing.push(name, tag or digest, payload, value["mediaType"], _PUSHER)
    return digest


def _index(children: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": children,
        **more,
    }


def child(digest: str, size: int = 2, **more: Any) -> dict[str, Any]:
    """A descriptor in an index."""
    return {"mediaType": media_types.OCI_MANIFEST, "digest": digest, "size": size, **more}


def digest_of(number: int) -> str:
    """A digest of nothing that is here."""
    return f"sha256:{number:064x}"


def push_platforms(name: str, tag: str) -> str:
    """An index of as many platforms as fit, all different, in the longest words."""
    words = [f"{number:05}💥{'é' * 8}" for number in range(MAX_REFERENCES)]
    return _push(
        name,
        tag,
        _index(
            [
                child(digest_of(number), platform={"os": word, "architecture": word})
                for number, word in enumerate(words)
            ]
        ),
    )


def tag_also(name: str, tag: str, others: Iterable[str], **columns: Any) -> None:
    """Let other tags point where one does, as pushes would that say the same again."""
    there = Tag.objects.get(repository__name=name, name=tag, ended_at=None)
    for other in others:
        Tag.objects.create(
            repository_id=there.repository_id,
            manifest_id=there.manifest_id,
            name=other,
            digest=there.digest,
            **columns,
        )


def push_annotated(name: str, count: int, size: int = LARGEST) -> list[str]:
    """Referrers with annotations as large as a manifest may be."""
    return [
        _push(
            name,
            None,
            _index(
                [],
                subject=child(SUBJECT),
                artifactType="application/vnd.example.sbom",
                annotations={"number": str(number), "text": "💥" * (size // 4 - 200)},
            ),
        )
        for number in range(count)
    ]


def push_many_words(name: str, tag: str) -> str:
    """A manifest whose annotations are as many as fit."""
    words = {f"{number:x}": "" for number in range(LARGEST // 12)}
    return _push(name, tag, _index([], annotations=words))


def push_nested(name: str, tag: str, width: int, each: int) -> str:
    """An index of `width` indexes, each of `each` descriptors that the others list too."""
    below = [child(digest_of(number)) for number in range(each)]
    inner = [_push(name, None, _index(below, annotations={"n": str(n)})) for n in range(width)]
    return _push(name, tag, _index([child(digest) for digest in inner]))


def push_present(name: str, tag: str, count: int) -> str:
    """An index of manifests that are all here."""
    images.push_blob(name, images.EMPTY_CONFIG)
    empty = images.descriptor(images.EMPTY_CONFIG, media_types.OCI_EMPTY)
    below = []
    for number in range(count):
        value = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": empty,
            "layers": [],
            "annotations": {"n": str(number)},
        }
        below.append(child(_push(name, None, value)))
    return _push(name, tag, _index(below))


def push_chain(name: str, tag: str, length: int) -> tuple[str, str]:
    """A chain of subjects. Answers the first, which the tag points at, and the last."""
    first = last = _push(name, tag, _index([]))
    for _ in range(length):
        last = _push(name, None, _index([], subject=child(last)))
    return first, last


def pull_all(name: str, days: int) -> None:
    """Let every tag be pulled on each of the last days, by every kind of credential."""
    repository = Repository.objects.get(name=name, closed_at=None)
    now = timezone.now()
    at = [now - dt.timedelta(days=ago) for ago in range(days)]
    rows = {
        (digest, tag)
        for digest, tag in Tag.objects.filter(repository=repository).values_list("digest", "name")
        if tag in ("platforms", "words", "moved")
    }
    about = {("", ""), *((digest, "") for digest, _ in rows), *rows}
    DailyPulls.objects.bulk_create(
        DailyPulls(
            repository=repository,
            digest=digest,
            tag=tag,
            day=moment.date(),
            kind=kind,
            pulls=2**40,
            last_at=moment,
        )
        for digest, tag in sorted(about)
        for moment in at
        for kind in pull_counts.KINDS
    )
    ManifestPulls.objects.bulk_create(
        ManifestPulls(manifest=manifest, repository=repository, pulls=2**40, last_at=now)
        for manifest in Manifest.objects.filter(repository=repository).defer("payload")
    )

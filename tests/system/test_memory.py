"""Processes that have served the largest content are as large afterwards as they were before."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.images import digest_of
from tests.e2e.installation import Installation
from tests.e2e.wire import Wire

pytestmark = pytest.mark.system

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LARGEST = 4 * 1024 * 1024
SUBJECT = {"mediaType": MANIFEST, "digest": f"sha256:{'5' * 64}", "size": 2}
NUMBER = "NUMBER"

KEPT = 50 * 1024 * 1024
"""Bytes that a process may have more than before."""


def _index(**more: Any) -> bytes:
    value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "n": NUMBER, **more}
    body = json.dumps(value, separators=(",", ":")).encode()
    assert len(body) <= LARGEST
    return body


def _referrer(size: int) -> bytes:
    return _index(subject=SUBJECT, annotations={"text": "x" * size})


def _platforms() -> list[dict[str, Any]]:
    return [
        {
            "mediaType": MANIFEST,
            "digest": f"sha256:{n:064x}",
            "size": 2,
            "platform": {"os": "linux", "architecture": f"a{n}" + "x" * 200},
        }
        for n in range(10_000)
    ]


def kinds() -> list[tuple[bytes, int]]:
    """The largest manifests of each kind, with a number to be put in, and how many of each.

    As many annotations as fit, one that fills it, those that a list of referrers tells, and
    as many platforms as there may be.
    """
    return [
        (_index(annotations={f"{n:x}": "" for n in range(LARGEST // 13)}), 24),
        (_referrer(LARGEST - 1000), 18),
        (_referrer(500_000), 12),
        (_index(manifests=_platforms()), 6),
    ]


def resident(installation: Installation) -> dict[int, int]:
    """Bytes in memory of each of its processes, the pages of its files left out.

    SQLite maps the database, once a connection, and the system takes these pages back at will.
    """
    found = {}
    for pid in installation.processes():
        status = Path(f"/proc/{pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        found[pid] = int(lines["RssAnon"].split()[0]) * 1024
    return found


def test_memory_is_given_back(make_installation: Any) -> None:
    installation = make_installation()
    installation.create_project("root/large", owner="root")
    templates = kinds()
    with Wire(installation, "root/large") as wire, ThreadPoolExecutor(4) as threads:

        def push(template: bytes, number: int) -> None:
            body = template.replace(NUMBER.encode(), b"%06d" % number, 1)
            wire.push_manifest(body, None, INDEX)
            wire.get(f"manifests/{digest_of(body)}")

        def list_referrers(_: int) -> None:
            assert len(wire.get(f"referrers/{SUBJECT['digest']}").content) < 2 * 1024 * 1024

        # Each kind once, so that what is loaded when it is first needed is there.
        for template, _ in templates:
            push(template, 1000)
        list(threads.map(list_referrers, range(6)))
        before = resident(installation)
        for template, count in templates:
            list(threads.map(push, [template] * count, range(count)))
        list(threads.map(list_referrers, range(24)))
        after = resident(installation)
    assert after.keys() == before.keys(), "nobody was started anew"
    grown = {pid: after[pid] - before[pid] for pid in after}
    assert max(grown.values()) < KEPT, {pid: f"{size:,}" for pid, size in grown.items()}

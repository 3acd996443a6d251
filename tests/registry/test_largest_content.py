"""Every address, asked about the largest content that pushes may store: each answer has an end."""

from __future__ import annotations

import datetime as dt
import json
import time
import tracemalloc
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry import digest as digests
from registry import urls
from registry.models import Blob, Manifest
from registry.services import tags
from tests.registry import images, largest
from tests.registry.base import APP, Person, content_of, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

MAX_ANSWER = 2 * 1024 * 1024
MAX_MEMORY = 50 * 1024 * 1024
MAX_KEPT = 4 * 1024 * 1024
MAX_QUERIES = 1300
"""The work that an answer may take. Nearly all take ten; reasons look at a hundred manifests."""

MAX_SECONDS = 20.0
"""Of the processor: many times what the dearest takes, so that it says what never ends, and not how
fast the machine is. Times are measured in `benchmarks/`."""


@dataclass(frozen=True)
class Content:
    """Digests of what was pushed."""

    platforms: str
    first: str
    last: str


@pytest.fixture
def content(clock: Any) -> Content:
    """A repository with all of it, some of which is up for review."""
    largest.push_annotated(APP, 4)
    largest.push_annotated(APP, 12, 500_000)
    largest.push_many_words(APP, "words")
    largest.push_nested(APP, "nested", 12, 3000)
    largest.push_present(APP, "present", 300)
    platforms = largest.push_platforms(APP, "platforms")
    largest.tag_also(APP, "platforms", (f"p{number}" for number in range(60)))
    first, last = largest.push_chain(APP, "chain", 400)
    largest.push_platforms(APP, "moved")
    tags.delete(APP, "moved", images.ALICE)
    for number in range(30):
        ended = {"ended_at": clock.now() - dt.timedelta(minutes=number), "ended_by": "x" * 255}
        largest.tag_also(APP, "platforms", ["moved"], started_by="x" * 255, **ended)
    largest.pull_all(APP, days=366)
    tags.delete(APP, "nested", images.ALICE)
    largest.push_nested(APP, "nested", 12, 3000)
    clock.advance(days=60)
    return Content(platforms, first, last)


def addresses(content: Content) -> dict[str, list[str]]:
    """By route what is asked of it, which is everything that reads what pushes have stored."""
    v2, own = f"v2/{APP}", "gitlab/v1/berth"
    tag = ["words", "platforms", "nested", "chain", "moved"]
    known = [content.platforms, content.first, content.last, largest.SUBJECT]
    listed = ["", "?n=1000", "?n=1000&referrers=true", "?n=1000&before=z"]
    listed += ["?sort=-size_bytes", "?n=1000&sort=-last_pulled_at"]
    listed += ["?n=1000&belongings=true&signatures=false"]
    listed += ["?n=1000&sort=version&pattern=.*", "?n=1000&sort=-created_at&platform=none/none"]
    listed += ["?n=1000&sort=-published_at&signed=true", "?n=1000&signed=false"]
    return {
        "v2/<name:name>/tags/list": [f"{v2}/tags/list", f"{v2}/tags/list?n=1000"],
        "v2/<name:name>/referrers/<reference:digest>": [
            *(f"{v2}/referrers/{digest}" for digest in known),
            f"{v2}/referrers/{largest.SUBJECT}?artifactType=application/vnd.example.sbom",
        ],
        "v2/_catalog": ["v2/_catalog?n=1000"],
        "gitlab/v1/events/": ["gitlab/v1/events/?n=1000"],
        "gitlab/v1/garbage/": ["gitlab/v1/garbage/"],
        "gitlab/v1/garbage/reviews/": ["POST gitlab/v1/garbage/reviews/?dry_run=true&n=50"],
        "gitlab/v1/garbage/receipts/": ["gitlab/v1/garbage/receipts/?n=1000"],
        "gitlab/v1/garbage/why/<reference:digest>": [
            f"gitlab/v1/garbage/why/{digest}"
            for digest in (*known, largest.digest_of(0), digests.of(images.EMPTY_CONFIG))
        ],
        "gitlab/v1/statistics/": [
            f"gitlab/v1/statistics/?path={APP}&path=acme{query}" for query in ("", "&waiting=true")
        ],
        f"{own}/under-way/<name:name>/": [f"{own}/under-way/{APP}/", f"{own}/under-way/acme/"],
        f"{own}/shares/<name:name>/": [f"{own}/shares/{APP}/?n=100"],
        "gitlab/v1/usage/": [f"gitlab/v1/usage/?path={APP}&path=acme"],
        f"{own}/repository/<name:name>/": [
            f"{own}/repository/{APP}/?size=self_with_descendants",
            f"{own}/repository/{APP}/?size=self",
        ],
        f"{own}/tags/<name:name>/": [f"{own}/tags/{APP}/{query}" for query in listed],
        f"{own}/untagged/<name:name>/": [f"{own}/untagged/{APP}/"],
        f"{own}/ages/<name:name>/": [f"{own}/ages/{APP}/"],
        f"{own}/tag/<name:name>/": [f"{own}/tag/{APP}/?tag={name}" for name in tag[:-1]],
        f"{own}/history/<name:name>/": [f"{own}/history/{APP}/?n=1000&tag={name}" for name in tag],
        f"{own}/manifests/<name:name>/": [f"POST {own}/manifests/{APP}/"],
        f"{own}/shared-blobs/<name:name>/": [f"POST {own}/shared-blobs/{APP}/"],
        f"{own}/blobs/<name:name>/": [f"POST {own}/blobs/{APP}/"],
        f"{own}/overview/<name:name>/": [
            *(f"{own}/overview/{APP}/?n=100&days=366&shared=true&tag={name}" for name in tag),
            *(f"{own}/overview/{APP}/?digest={digest}" for digest in known),
        ],
        f"{own}/pulls/<name:name>/": [
            f"{own}/pulls/{APP}/?days=366{query}"
            for query in ("", f"&digest={content.platforms}", *(f"&tag={name}" for name in tag))
        ],
        f"{own}/freed/<name:name>/": [
            f"{own}/freed/{APP}/",
            *(f"{own}/freed/{APP}/?tags={name}" for name in ("platforms", "nested", "present")),
            f"{own}/freed/{APP}/?tags=words,platforms,nested,chain,present",
        ],
        f"{own}/holders/<name:name>/": [
            f"{own}/holders/{APP}/?digest={digest}"
            for digest in (*known, largest.digest_of(0), digests.of(images.EMPTY_CONFIG))
        ],
        f"{own}/deleted-tags/<name:name>/": [f"{own}/deleted-tags/{APP}/?n=1000"],
        f"{own}/descendants/<name:name>/": [f"{own}/descendants/acme/?n=1000"],
        "gitlab/v1/repositories/<name:name>/tags/list/": [
            f"gitlab/v1/repositories/{APP}/tags/list/{query}" for query in listed
        ],
        "gitlab/v1/repositories/<name:name>/": [f"gitlab/v1/repositories/{APP}/?size=self"],
        "gitlab/v1/repository-paths/<name:name>/repositories/list/": [
            "gitlab/v1/repository-paths/acme/repositories/list/"
        ],
    }


ELSEWHERE = {
    "v2/<name:name>/manifests/<reference:reference>": "the bytes of one manifest, as pushed",
    "v2/<name:name>/blobs/<reference:digest>": "the bytes of one blob, streamed",
    "v2/": "says nothing of content",
    "v2": "says nothing of content",
    "v2/<name:name>/blobs/uploads/": "takes bytes",
    "v2/<name:name>/blobs/uploads/<reference:session>": "takes bytes",
    "v2/<name:rest>": "404",
    "gitlab/v1/": "says nothing of content",
    "gitlab/v1/diagnosis/": "says nothing of content",
    "gitlab/v1/berth/": "says nothing of content",
    "^/+": "leads to the others",
    "gitlab/v1/garbage/lease/": "says nothing of content",
    "gitlab/v1/garbage/causes/<str:cause>": "answers with counts",
    "gitlab/v1/revocations/": "says nothing of content",
    "gitlab/v1/garbage/verifications/": "answers with counts",
    "gitlab/v1/berth/restore/<name:name>/": "names at most what was asked for",
    "gitlab/v1/berth/delete-untagged/<name:name>/": "names at most what was asked for",
    "gitlab/v1/search/": "20 names at most",
    "gitlab/v1/berth/delete-tags/<name:name>/": "names at most what was asked for",
    "gitlab/v1/berth/given-up/<name:name>/": "answers with a count",
    "gitlab/v1/<name:rest>": "404",
    "-/liveness": "says nothing of content",
    "-/health": "says nothing of content",
    "-/readiness": "says nothing of content",
    "debug/health": "says nothing of content",
}


def test_every_address_ends(content: Content, gitlab: Person) -> None:
    asked = addresses(content)
    routes = {str(pattern.pattern) for pattern in urls.urlpatterns}
    assert routes == asked.keys() | ELSEWHERE.keys(), "a new address is asked here too"
    access = [Access("registry", kind, ("*",)) for kind in ("catalog", "events", "garbage")]
    token = mint(
        None,
        *(Access.repository(name, "pull") for name in (APP, f"{APP}/*", "acme", "acme/*")),
        *access,
        Access("registry", "statistics", ("*",)),
    )
    paths = [path for some in asked.values() for path in some]
    for path in paths:
        assert_ends(gitlab, path, token)
    # By itself, since it takes several times what is measured.
    tracemalloc.start()
    try:
        for path in paths:
            assert_needs_little(gitlab, path, token)
    finally:
        tracemalloc.stop()


def _digests() -> bytes:
    """As many as are asked about at once, of the largest manifests and blobs there are."""
    manifests = Manifest.objects.order_by("-size").values_list("digest", flat=True)[:50]
    blobs = Blob.objects.values_list("digest", flat=True)[:50]
    return json.dumps({"digests": [*manifests, *blobs]}).encode()


def ask(person: Person, path: str, token: str) -> int:
    """One question: the bytes of its answer."""
    method, _, path = path.rpartition(" ")
    asks = path.startswith(
        tuple(f"gitlab/v1/berth/{what}/" for what in ("manifests", "shared-blobs", "blobs"))
    )
    response = person.send(method or "GET", f"/{path}", _digests() if asks else b"", token=token)
    size = len(content_of(response))
    assert response.status_code in (200, 404), (path, response.content)
    return size


def assert_ends(person: Person, path: str, token: str) -> None:
    """One question: its answer's size, the queries, the processor's time."""
    started = time.process_time()
    with CaptureQueriesContext(connections["registry"]) as captured:
        size = ask(person, path, token)
    spent = time.process_time() - started
    assert size < MAX_ANSWER, path
    assert len(captured) < MAX_QUERIES, path
    assert spent < MAX_SECONDS, (path, spent)


def assert_needs_little(person: Person, path: str, token: str) -> None:
    """One question: the peak of the memory that it takes, and what of it stays."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    ask(person, path, token)
    after, peak = tracemalloc.get_traced_memory()
    assert peak - before < MAX_MEMORY, path
    assert after - before < MAX_KEPT, path

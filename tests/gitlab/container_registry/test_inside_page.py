"""What is inside of a manifest: on the page of its tag, on its own, and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import (
    ManifestDetails,
    SharedBlob,
    StoredManifest,
)
from tests.gitlab.container_registry.contents.hostile import BIDI
from tests.gitlab.played_registry import INDEX, MANIFEST, START, digest

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MIB = 1024 * 1024
SAID: dict[str, Any] = {
    "os": "linux",
    "architecture": "amd64",
    "created": "2026-11-20T10:00:00Z",
    "config": {
        "User": "app",
        "Entrypoint": ["/init"],
        "Cmd": ["serve"],
        "Env": ["MODE=production"],
        "ExposedPorts": {"8080/tcp": {}},
        "Labels": {
            "org.opencontainers.image.source": "https://github.com/acme/app",
            "maintainer": "javascript:alert(1)",
        },
    },
    "history": [
        {"created_by": "ADD base"},
        {"created_by": "ENV MODE=production", "empty_layer": True},
        {"created_by": "RUN make"},
    ],
}


@pytest.fixture
def url(web: Any) -> str:
    return f"/acme/app/container_registry/{web.pk}"


def put_image(played: Any, letter: str = "b", said: Any = SAID, layers: int = 2) -> None:
    """An image with its configuration, by a letter in place of its digest."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    played.blobs[digest("c")] = payload
    document = {
        "config": {"digest": digest("c"), "size": len(payload), "mediaType": CONFIG},
        "layers": [
            {"digest": f"sha256:{n:064x}", "size": (n + 1) * MIB, "mediaType": LAYER}
            for n in range(layers)
        ],
    }
    played.manifests[digest(letter)] = StoredManifest(MANIFEST, json.dumps(document).encode())


def test_who_sees_it(
    url: str, played: Any, browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any
) -> None:
    put_image(played)
    pages = [f"{url}/manifests/{digest('b')}", f"{url}/manifests/{digest('b')}/json"]
    for page in (*pages, f"{pages[1]}?of=config", f"{pages[1]}?raw=1"):
        for user in (alice, bob, carol):
            assert browser(user).get(page).status_code == 200
        assert browser(mallory).get(page).status_code == 404
        assert browser(None).get(page).status_code == 302
        assert browser(alice).get(page.replace(digest("b"), digest("9"))).status_code == 404
        assert browser(alice).get(page.replace(digest("b"), "sha256:b")).status_code == 404


@pytest.mark.parametrize("where", ["tags/v1", f"manifests/{digest('b')}"])
def test_an_image(url: str, played: Any, browser: Any, carol: Any, where: str) -> None:
    put_image(played)
    played.push("acme/app/web", "v1", "b")
    played.shared = {f"sha256:{0:064x}": SharedBlob(f"sha256:{0:064x}", 2, ("acme/app/worker",))}
    page = browser(carol).get(f"{url}/{where}")
    text = page.content.decode()
    for words in ("/init", "serve", "MODE", "production", "8080/tcp", "ADD base", "RUN make"):
        assert words in text
    assert 'href="https://github.com/acme/app" rel="noopener noreferrer nofollow"' in text
    assert 'href="javascript' not in text
    assert "javascript:alert(1)" in text
    built = page.context["built"]
    assert [line["share_text"] for line in built] == ["33.3 %", "0.0 %", "66.7 %"]
    assert [line["shared"] for line in built] == ["worker", "", ""]
    assert built[0]["shared_more"] == 1
    assert played.seen == ["acme/app", "acme/app/*"]


def test_sizes_count_each_layer_once(url: str, played: Any, browser: Any, carol: Any) -> None:
    layer = {"digest": digest("e"), "size": MIB, "mediaType": LAYER}
    config = {"digest": digest("c"), "size": 10, "mediaType": CONFIG}
    document = {"config": config, "layers": [layer, layer]}
    played.manifests[digest("b")] = StoredManifest(MANIFEST, json.dumps(document).encode())
    page = browser(carol).get(f"{url}/manifests/{digest('b')}")
    assert page.context["inside"].size_bytes == MIB + 10


def test_each_platform_has_its_page(url: str, played: Any, browser: Any, carol: Any) -> None:
    put_image(played, "1")
    children = [
        {"digest": digest("1"), "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": digest("2"), "size": 1, "platform": {"os": "linux", "architecture": "arm64"}},
    ]
    document = json.dumps({"manifests": children}).encode()
    played.manifests[digest("b")] = StoredManifest(INDEX, document)
    played.details = {
        digest("b"): ManifestDetails(digest("b"), INDEX, size_bytes=3 * MIB),
        digest("1"): ManifestDetails(digest("1"), MANIFEST, size_bytes=2 * MIB, created_at=START),
    }
    played.push("acme/app/web", "v1", "b", media_type=INDEX)
    page = browser(carol).get(f"{url}/tags/v1")
    text = page.content.decode()
    # What they share counts once: less than their sum.
    assert page.context["inside"].size_bytes == 3 * MIB
    assert "2.0 MiB" in text
    assert "not here" in text
    (first, _) = page.context["platforms"]
    assert "linux/amd64" in browser(carol).get(first["url"]).content.decode()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"[]", "not what an image has"),
        (b"{", "not what an image has"),
        (None, "does not have the configuration"),
    ],
)
def test_a_configuration_that_is_none(
    url: str, played: Any, browser: Any, carol: Any, said: Any, words: str
) -> None:
    put_image(played, said=said or SAID)
    if said is None:
        played.blobs.clear()
    page = browser(carol).get(f"{url}/manifests/{digest('b')}")
    assert words in page.content.decode()
    assert [line["step"].number for line in page.context["built"]] == [1, 2]


def test_a_history_of_ten_thousand_steps_has_pages(
    url: str, played: Any, browser: Any, carol: Any
) -> None:
    history = [{"created_by": f"RUN step{n}", "empty_layer": n % 2 == 1} for n in range(10_000)]
    put_image(played, said={"os": "linux", "history": history}, layers=5000)
    page = browser(carol).get(f"{url}/manifests/{digest('b')}?after=9900")
    assert "RUN step9999" in page.content.decode()
    assert "9,901–10,000 of 10,000" in page.content.decode()
    assert (page.context["earlier_url"], page.context["later_url"]) == ("?after=9800#parts", "")
    assert len(page.content) < MIB
    for odd in ("x", "-1", "9" * 30, "\u0661", "99999"):
        answer = browser(carol).get(f"{url}/manifests/{digest('b')}", {"after": odd})
        assert answer.status_code == 200


class TestJson:
    def test_it_is_readable(self, url: str, played: Any, browser: Any, carol: Any) -> None:
        put_image(played)
        page = browser(carol).get(f"{url}/manifests/{digest('b')}/json?of=config")
        assert '"architecture": "amd64"' in page.context["text"]
        assert page.context["text"].startswith("{\n  ")

    def test_it_is_downloaded_as_it_is(
        self, url: str, played: Any, browser: Any, carol: Any
    ) -> None:
        put_image(played, said=b"<script>alert(1)</script>")
        answer = browser(carol).get(f"{url}/manifests/{digest('b')}/json?of=config&raw=1")
        assert answer.content == b"<script>alert(1)</script>"
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer["Content-Disposition"].startswith("attachment;")
        assert answer["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize(
        "payload", [b"", b"\xff\x00", b"[" * 100_000, b'"' * 400_000, b'{"a": 1e999}']
    )
    def test_what_is_no_json(
        self, url: str, played: Any, browser: Any, carol: Any, payload: bytes
    ) -> None:
        played.manifests[digest("b")] = StoredManifest(MANIFEST, payload)
        assert browser(carol).get(f"{url}/manifests/{digest('b')}/json").status_code == 200

    def test_hidden_characters_are_written_out(
        self, url: str, played: Any, browser: Any, carol: Any
    ) -> None:
        put_image(played, said={"author": BIDI})
        page = browser(carol).get(f"{url}/manifests/{digest('b')}/json?of=config")
        assert "\u202e" not in page.content.decode()
        assert "\\u202e" in page.context["text"]

    def test_a_large_one_is_cut_on_the_page(
        self, url: str, played: Any, browser: Any, carol: Any
    ) -> None:
        put_image(played, said={"author": "x" * MIB})
        page = browser(carol).get(f"{url}/manifests/{digest('b')}/json?of=config")
        assert len(page.content) < MIB
        assert "The download has it whole" in page.content.decode()


def test_a_registry_that_does_not_answer(url: str, played: Any, browser: Any, carol: Any) -> None:
    played.trouble = RegistryUnavailable("nobody answers")
    for page in (f"manifests/{digest('b')}", f"manifests/{digest('b')}/json", "tags/v1"):
        answer = browser(carol).get(f"{url}/{page}")
        assert answer.status_code == 200
        assert "nobody answers" in answer.content.decode() or answer.context["trouble"]


def test_a_foreign_registry_shows_what_it_can_tell(
    url: str, played: Any, browser: Any, carol: Any
) -> None:
    played.has_own_api = False
    put_image(played)
    played.push("acme/app/web", "v1", "b")
    page = browser(carol).get(f"{url}/tags/v1").content.decode()
    assert "RUN make" in page
    assert "MODE" in page


class TestTimeline:
    def test_what_it_was_on_a_day(self, url: str, played: Any, browser: Any, bob: Any) -> None:
        for letter in "ab":
            played.push("acme/app/web", "v1", letter)
        day = START.date().isoformat()
        page = browser(bob).get(f"{url}/tags/v1?on={day}")
        assert [line["past"].digest[7] for line in page.context["history"]] == ["b", "a"]
        assert "Friday, 20 November 2026" in page.content.decode()
        later = browser(bob).get(f"{url}/tags/v1?on=2026-11-21")
        assert [line["past"].digest[7] for line in later.context["history"]] == ["b"]
        before = browser(bob).get(f"{url}/tags/v1?on=2026-11-19").content.decode()
        assert "pointed at nothing on that day" in before

    @pytest.mark.parametrize("day", ["", "x", "0001-01-01", "9999-12-31", "2026-02-30", "1" * 99])
    def test_odd_days(self, url: str, played: Any, browser: Any, bob: Any, day: str) -> None:
        played.push("acme/app/web", "v1", "a")
        assert browser(bob).get(f"{url}/tags/v1", {"on": day}).status_code == 200

    def test_each_interval_says_what_it_pointed_at(
        self, url: str, played: Any, browser: Any, bob: Any
    ) -> None:
        for letter in "ab":
            played.push("acme/app/web", "v1", letter)
        played.details = {digest("a"): ManifestDetails(digest("a"), MANIFEST, size_bytes=2 * MIB)}
        page = browser(bob).get(f"{url}/tags/v1")
        now, before = page.context["history"]
        assert before["size_bytes"] == 2 * MIB
        assert before["url"].endswith(f"/manifests/{digest('a')}")
        # What is gone has no page.
        assert now["url"] == ""

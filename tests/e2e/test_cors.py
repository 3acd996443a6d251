"""A browser of registries that is served elsewhere, in a real one: what it may read, and where."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e import images
from tests.e2e.conftest import Person, person_at
from tests.e2e.images import MANIFEST, digest_of
from tests.e2e.installation import Installation
from tests.e2e.wire import ACCEPT, Wire

pytestmark = pytest.mark.e2e

_READ = """
async ({registry, name, reference, accept, username, password}) => {
  const refused = await fetch(`${registry}/v2/${name}/tags/list`)
  const challenge = refused.headers.get("WWW-Authenticate")
  const said = Object.fromEntries(
    [...challenge.matchAll(/(\\w+)="([^"]*)"/g)].map(found => [found[1], found[2]]))
  const wanted = new URLSearchParams({service: said.service, scope: said.scope})
  const basic = {Authorization: "Basic " + btoa(`${username}:${password}`)}
  const {token} = await (await fetch(`${said.realm}?${wanted}`, {headers: basic})).json()
  const bearer = {Authorization: `Bearer ${token}`}
  const tags = await (await fetch(`${registry}/v2/${name}/tags/list`, {headers: bearer})).json()
  const manifest = await fetch(
    `${registry}/v2/${name}/manifests/${reference}`, {headers: {...bearer, Accept: accept}})
  return {
    status: refused.status,
    tags: tags.tags,
    digest: manifest.headers.get("Docker-Content-Digest"),
    type: manifest.headers.get("Content-Type"),
    manifest: await manifest.text(),
  }
}
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Browser of registries</title>")

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Another origin, with an empty page."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def read(chromium: Browser, origin: str, berth: Installation, person: Person, name: str) -> Any:
    """What a page of that origin finds out of an image."""
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(origin)
        return page.evaluate(
            _READ,
            {
                "registry": berth.registry_url,
                "name": name,
                "reference": "v1",
                "accept": ACCEPT,
                "username": person.username,
                "password": person.password,
            },
        )
    finally:
        context.close()


def test_it_lists_tags_and_reads_a_manifest(
    chromium: Browser, elsewhere: str, make_installation: Any
) -> None:
    berth = make_installation(BERTH__CORS_ORIGINS=elsewhere)
    alice = person_at(berth, "alice")
    image = images.tiny()
    with Wire(berth, "alice/app", username="alice") as wire:
        wire.push(image, "v1")
        wire.push(image, "v2")
    found = read(chromium, elsewhere, berth, alice, "alice/app")
    assert found == {
        "status": 401,
        "tags": ["v1", "v2"],
        "digest": digest_of(image.manifest),
        "type": MANIFEST,
        "manifest": image.manifest.decode(),
    }
    other = elsewhere.replace("localhost", "127.0.0.1")
    with pytest.raises(Exception, match="Failed to fetch"):
        read(chromium, other, berth, alice, "alice/app")


def test_without_the_setting_it_is_refused(
    chromium: Browser, elsewhere: str, berth: Installation, alice: Person
) -> None:
    with Wire(berth, "alice/cors", username="alice") as wire:
        wire.push(images.tiny(), "v1")
    with pytest.raises(Exception, match="Failed to fetch"):
        read(chromium, elsewhere, berth, alice, "alice/cors")

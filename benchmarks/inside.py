"""The page of a tag of 40 layers: ``python -m benchmarks.inside``.

Its configuration is read from the registry once and remembered: the page is measured with it known,
and with it asked for each time, beside a page of the same frame that shows next to nothing.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.loads import Client
from benchmarks.servers import Bench, Server, running

_LAYERS = 40
_IMAGES = 30
_ROUNDS = 30
_LIMITS = {"known": 60.0, "asked for": 150.0}
"""Milliseconds that each may take at the median."""

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_SEED = """
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from gitlab.accounts.models import User
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services
root = User.objects.get(username="root")
group = services.create_group(root, path="bench")
project = services.create_project(root, namespace=group, path="app")
image = ContainerRepository.objects.create(project=project, path="bench/app")
session = SessionStore()
session[SESSION_KEY] = str(root.pk)
session[BACKEND_SESSION_KEY] = "gitlab.accounts.backends.ActiveUserBackend"
session[HASH_SESSION_KEY] = root.get_session_auth_hash()
session.create()
print(image.pk, f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
"""
_TOKEN = """
from gitlab.container_registry.client import tokens
print(tokens.for_repository("bench/app", "pull", "push"))
"""


def main() -> None:
    """Seed, measure, print; fails where something takes longer than it may."""
    with tempfile.TemporaryDirectory(prefix="inside-") as folder:
        bench = Bench(Path(folder))
        bench.manage("prepare")
        image, session = bench.python(_SEED).split()
        with running(bench.berth("registry")) as registry:
            bench.environment["GITLAB_RAILS__REGISTRY_API_URL"] = registry.address
            _push(registry, bench.python(_TOKEN))
            with running(bench.berth("web")) as web:
                figures = _measure(web, image, session)
    for name, milliseconds in figures.items():
        print(f"{name:<40} {milliseconds:7.1f} ms")
    slow = [name for name, limit in _LIMITS.items() if figures[name] > limit]
    if slow:
        raise SystemExit(f"too slow: {', '.join(slow)}")


def _measure(web: Server, image: str, session: str) -> dict[str, float]:
    client = Client(web, "")
    client.headers = {"Cookie": session, "Accept-Encoding": "identity"}
    tag = f"/bench/app/container_registry/{image}/tags"
    client.median_ms("/-/user_settings/profile", 3)
    asked = []
    for number in range(_IMAGES):
        started = time.perf_counter()
        client._ask("GET", f"{tag}/v{number}")  # noqa: SLF001
        asked.append((time.perf_counter() - started) * 1000)
    return {
        "empty": client.median_ms("/-/user_settings/profile", _ROUNDS),
        "known": client.median_ms(f"{tag}/v0", _ROUNDS),
        "asked for": statistics.median(asked),
    }


def _push(registry: Server, token: str) -> None:
    """Images that share their layers, each with a configuration of its own."""
    client = Client(registry, token)
    layers = [_blob(client, f"layer {number}".encode() * 100) for number in range(_LAYERS)]
    for number in range(_IMAGES):
        history = [{"created_by": f"RUN step {n} {'x' * 120}"} for n in range(_LAYERS)]
        said = {
            "os": "linux",
            "architecture": "amd64",
            "author": f"image {number}",
            "config": {"Env": [f"V{n}=x" for n in range(10)], "Labels": {"a": "b"}},
            "history": history,
        }
        config = _blob(client, json.dumps(said).encode())
        config["mediaType"] = "application/vnd.oci.image.config.v1+json"
        document = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": config,
            "layers": layers,
        }
        body = json.dumps(document).encode()
        client._ask(  # noqa: SLF001
            "PUT", f"/v2/bench/app/manifests/v{number}", body, {"Content-Type": _MANIFEST}
        )


def _blob(client: Client, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    client.push_blob("bench/app", content, digest, chunked=False)
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


if __name__ == "__main__":
    main()

"""A mixed load that writes down what was acknowledged, and the check of what must then be there.

Each line of the journal is on the disk before the next request. Before a change it says what is
tried, and after it what was acknowledged: what was tried and not acknowledged may have happened.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.installation import Installation

NAMES = tuple(f"root/load{number}" for number in range(4))
HONEST = {401, 404, 429, 502, 503, 504, 507}
"""What a registry in trouble may say. 404 is what follows where an upload was lost."""


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def manifest(config: bytes, layers: list[bytes]) -> bytes:
    """An OCI manifest."""
    kind = "application/vnd.oci.image"

    def descriptor(body: bytes, what: str) -> dict[str, Any]:
        return {"mediaType": f"{kind}.{what}", "digest": digest_of(body), "size": len(body)}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": descriptor(config, "config.v1+json"),
            "layers": [descriptor(layer, "layer.v1.tar+gzip") for layer in layers],
        }
    ).encode()


class Journal:
    """Appended and fsynced, line by line. `injections` counts the faults that went with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.injections = 0
        self._lock = threading.Lock()
        self._file = path.open("a")

    def write(self, **entry: Any) -> None:
        with self._lock:
            self._file.write(json.dumps({"at": time.time(), **entry}) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def stored(self, since: float, before: float) -> set[tuple[str, str]]:
        """The images and digests of blobs whose upload was acknowledged in that time."""
        return {
            (entry["name"], entry["digest"])
            for entry in self.entries()
            if entry["op"] == "stored" and since < entry["at"] < before
        }

    def expected(
        self, before: float = float("inf"), until: float = float("inf")
    ) -> dict[tuple[str, str], set[str | None]]:
        """For each tag what it may point at: what was acknowledged last, and what came after.

        `before` leaves out what was acknowledged later, and lets it be true all the same; nothing
        is true that was tried after `until`. A tag of which nothing was acknowledged may be
        anything that is whole: its set is empty.
        """
        found: dict[tuple[str, str], set[str | None]] = {}
        for entry in self.entries():
            if entry["op"] == "stored" or entry["at"] > until:
                continue
            key = (entry["name"], entry["tag"])
            if entry["op"] == "acknowledged" and entry["at"] < before:
                found[key] = {entry["digest"]}
            elif found.setdefault(key, set()):
                found[key].add(entry["digest"])
        return found


class Registry:
    """The requests of a client, with one token for all images of the load."""

    def __init__(self, berth: Installation, names: tuple[str, ...] = NAMES) -> None:
        self._berth, self._names = berth, names
        self._http = httpx.Client(base_url=berth.registry_url, timeout=35, verify=berth.verify)
        self._token = ""

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Raises `httpx.HTTPError` where nobody answers."""
        if not self._token:
            scopes = [f"repository:{name}:pull,push,delete" for name in self._names]
            self._token = self._berth.token(*scopes)
        headers = {"Authorization": f"Bearer {self._token}", **options.pop("headers", {})}
        answer = self._http.request(method, path, headers=headers, **options)
        if answer.status_code == 401:
            self._token = ""
        return answer

    def push_blob(self, name: str, body: bytes, *, asks: bool = True) -> int:
        """The last status: 200 where it was there, 201 where it was uploaded."""
        digest = digest_of(body)
        if asks:
            asked = self.request("HEAD", f"/v2/{name}/blobs/{digest}")
            if asked.status_code == 200:
                return 200
        started = self.request("POST", f"/v2/{name}/blobs/uploads/")
        if started.status_code != 202:
            return started.status_code
        address = httpx.URL(started.headers["Location"])
        half = len(body) // 2
        if half and random.random() < 0.5:
            sent = self.request("PATCH", str(address), content=body[:half])
            if sent.status_code != 202:
                return sent.status_code
            address, body = httpx.URL(sent.headers["Location"]), body[half:]
        address = address.copy_merge_params({"digest": digest})
        return self.request("PUT", str(address), content=body).status_code

    def mount(self, name: str, digest: str, source: str) -> int:
        """201 where the blob of another image is now in this one too."""
        asked = f"/v2/{name}/blobs/uploads/"
        return self.request("POST", asked, params={"mount": digest, "from": source}).status_code

    def push_image(self, name: str, tag: str, layers: list[bytes]) -> tuple[int, str]:
        """The last status, and the manifest's digest."""
        config = json.dumps({"made": random.random()}).encode()
        payload = manifest(config, layers)
        for body in (config, *layers):
            status = self.push_blob(name, body)
            if status not in (200, 201):
                return status, digest_of(payload)
        return self.put(name, tag, payload), digest_of(payload)

    def put(self, name: str, tag: str, payload: bytes) -> int:
        return self.request(
            "PUT",
            f"/v2/{name}/manifests/{tag}",
            content=payload,
            headers={"Content-Type": json.loads(payload)["mediaType"]},
        ).status_code

    def pull(self, name: str, tag: str) -> str | None:
        """The digest of what a tag points at, after all of it was read and hashed. None on 404."""
        answer = self.request("GET", f"/v2/{name}/manifests/{tag}", headers={"Accept": "*/*"})
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        assert answer.headers["Docker-Content-Digest"] == digest_of(answer.content)
        document = answer.json()
        for descriptor in (document["config"], *document["layers"]):
            blob = self.request("GET", f"/v2/{name}/blobs/{descriptor['digest']}")
            if blob.status_code >= 500:
                blob.raise_for_status()
            assert blob.status_code == 200, f"{name}:{tag} {descriptor['digest']} {blob.text}"
            assert digest_of(blob.content) == descriptor["digest"]
        return digest_of(answer.content)


class Load:
    """Clients that push, pull, overwrite and delete until they are stopped."""

    def __init__(
        self,
        berth: Installation,
        journal: Journal,
        *,
        seed: int,
        clients: int = 4,
        size: int = 40_000,
        notes_blobs: bool = False,
    ) -> None:
        self.journal, self.counts = journal, Counter[str]()
        self.faults: list[str] = []
        self._berth, self._size, self._notes_blobs = berth, size, notes_blobs
        self._stopping = threading.Event()
        shared = random.Random(seed)
        self._layers = [shared.randbytes(shared.randint(1, size)) for _ in range(6)]
        self._threads = [
            threading.Thread(target=self._run, args=(seed * 1000 + number, number), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, seed: int, number: int) -> None:
        chance = random.Random(seed)
        registry = Registry(self._berth)
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                self._one(registry, chance, number)
            except (httpx.HTTPError, OSError):
                self.counts["no answer"] += 1
                self._stopping.wait(0.1)
            except AssertionError as error:
                self.faults.append(f"I3: {error}")
            if time.monotonic() - begun > 120:
                self.faults.append(f"I10: {time.monotonic() - begun:.0f} s without an answer")

    def _one(self, registry: Registry, chance: random.Random, number: int) -> None:
        name = chance.choice(NAMES)
        tag = f"client{number}-{chance.randrange(5)}"  # Each tag has one writer.
        what = chance.random()
        if what < 0.35:
            registry.pull(name, tag)
            self.counts["pulls"] += 1
        elif what < 0.5:
            self.journal.write(op="trying", name=name, tag=tag, digest=None)
            answer = registry.request("DELETE", f"/v2/{name}/manifests/{tag}")
            self._note(answer.status_code, (202, 404), name, tag, None)
        else:
            fresh = chance.randbytes(chance.randint(1, self._size))
            layers = [fresh, *chance.sample(self._layers, 2)]
            config = json.dumps({"made": chance.random()}).encode()
            payload = manifest(config, layers)
            for body in (config, *layers):
                status = self._store(registry, chance, name, body)
                if status not in (200, 201):
                    self._note(status, (), name, tag, None)
                    return
            digest = digest_of(payload)
            self.journal.write(op="trying", name=name, tag=tag, digest=digest)
            self._note(registry.put(name, tag, payload), (201,), name, tag, digest)

    def _store(self, registry: Registry, chance: random.Random, name: str, body: bytes) -> int:
        """Push a blob, one in four to another image from which it is then mounted. The last
        status.
        """
        if chance.random() < 0.75:
            return self._stored(registry.push_blob(name, body), name, body)
        source = chance.choice([other for other in NAMES if other != name])
        status = self._stored(registry.push_blob(source, body), source, body)
        if status not in (200, 201):
            return status
        status = self._stored(registry.mount(name, digest_of(body), source), name, body)
        if status == 202:  # The other image has lost it again: nothing names it there.
            return self._stored(registry.push_blob(name, body), name, body)
        self.counts["mounts"] += status == 201
        return status

    def _stored(self, status: int, name: str, body: bytes) -> int:
        """Write down that a blob is there, where it is so; the status."""
        if self._notes_blobs and status == 201:
            self.journal.write(op="stored", name=name, digest=digest_of(body))
        return status

    def _note(
        self, status: int, good: tuple[int, ...], name: str, tag: str, digest: str | None
    ) -> None:
        if status in good:
            self.journal.write(op="acknowledged", name=name, tag=tag, digest=digest)
            self.counts["writes"] += 1
        elif status in HONEST or status == 400:  # MANIFEST_BLOB_UNKNOWN: push it again.
            self.counts[f"answered {status}"] += 1
            self._stopping.wait(0.05)
        else:
            self.faults.append(f"I10: answered {status}")


def violations(
    berth: Installation,
    journal: Journal,
    *,
    before: float = float("inf"),
    until: float = float("inf"),
) -> list[str]:
    """Replay the journal against the registry: each sentence says which tag is not what it
    must be.
    """
    registry = Registry(berth)
    found = []
    for (name, tag), allowed in journal.expected(before, until).items():
        try:
            digest = registry.pull(name, tag)
        except (AssertionError, httpx.HTTPError) as error:
            found.append(f"I1: {name}:{tag}: {error}")
            continue
        if allowed and digest not in allowed:
            found.append(f"I1: {name}:{tag} is {digest}, and may be {allowed}")
    return found


def verify(berth: Installation) -> list[str]:
    """What `registry_verify --read-data` finds (I2, I13), each as a line of JSON.

    A file that a crash has left before its row was written is no damage: the slow round removes it.
    """
    code = "from django.core.management import call_command\nimport io\nout = io.StringIO()\n"
    code += (
        "try:\n    call_command('registry_verify', '--read-data', '--format', 'json', stdout=out)\n"
    )
    code += "except SystemExit:\n    pass\nanswer = out.getvalue()"
    found = json.loads(berth.run_python(code))["findings"]
    return [json.dumps(finding) for finding in found if finding["kind"] != "orphan file"]


@contextlib.contextmanager
def timed(limit: float) -> Iterator[None]:
    """Fails where the block takes more than `limit` seconds."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < limit

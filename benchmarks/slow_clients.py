"""Clients that are slow on purpose: what everybody else notices.

    python -m benchmarks.slow_clients [gunicorn] [nginx] [nginx-buffered]

500 connections that send their header a byte at a time, 200 that send a body a byte at a time, and
200 that read nothing of a blob, each kind alone and all at once, against a real installation:
without a proxy, behind nginx with the file of ``deploy/`` as it is, and with
``proxy_request_buffering on``. Who is answered or cut off comes back. Healthy clients ask
meanwhile, one request after the other, each with a connection of its own. Takes five to ten
minutes; needs nginx.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.bad_inputs.slow_clients import Nginx
from tests.e2e import images
from tests.e2e.installation import Installation
from tests.e2e.wire import Wire

COUNTS = {"headers": 500, "bodies": 200, "readers": 200}
MEASURED = 60
PATIENCE = 10.0
"""Seconds after which a healthy request counts as not answered."""
BLOB = 32 * 2**20
Address = tuple[str, int]


class SlowClients(threading.Thread):
    """Holds its connections open and lets each of them move every two seconds."""

    def __init__(self, address: Address, texts: dict[str, bytes]) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.sent = [(kind, text) for kind, text in texts.items() for _ in range(COUNTS[kind])]
        self.ready, self.stop = threading.Event(), threading.Event()
        self.open = self.ended = 0

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        clients = [
            asyncio.create_task(self._one(text, kind != "readers")) for kind, text in self.sent
        ]
        await asyncio.sleep(3)
        self.ready.set()
        await asyncio.to_thread(self.stop.wait)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _one(self, text: bytes, sends: bool) -> None:
        """One client: whoever is answered or cut off comes back at once."""
        while True:
            with contextlib.suppress(OSError):
                # A reader whose window is full is one that does not read.
                reader, writer = await asyncio.open_connection(*self.address, limit=1024)
                self.open += 1
                try:
                    await self._move(reader, writer, text, sends)
                    self.ended += 1
                finally:
                    self.open -= 1
                    writer.close()
            await asyncio.sleep(0.1)

    async def _move(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        text: bytes,
        sends: bool,
    ) -> None:
        writer.write(text)
        if not sends:
            await asyncio.Event().wait()
        answer = asyncio.ensure_future(reader.read(1))
        while not (await asyncio.wait([answer], timeout=2))[0]:
            writer.write(b"x")
            await writer.drain()
        with contextlib.suppress(OSError):
            answer.result()


def head(method: str, path: str, address: Address, token: str, *more: str) -> bytes:
    """The beginning of a request, without the empty line that ends a header."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{address[1]}"]
    return "\r\n".join([*lines, f"Authorization: Bearer {token}", *more, ""]).encode()


def healthy(address: Address, token: str) -> dict[str, Any]:
    """Seconds of healthy pulls of a manifest and of small pushes, and how many had no answer."""
    seconds: list[float] = []
    lost = 0
    url = f"http://{address[0]}:{address[1]}/v2/root/app"
    headers = {"Authorization": f"Bearer {token}", "Host": f"localhost:{address[1]}"}
    for number in range(MEASURED):
        begun = time.monotonic()
        try:
            with httpx.Client(timeout=PATIENCE, headers=headers) as client:
                if number % 3:
                    answer = client.get(f"{url}/manifests/1")
                else:
                    content = b"healthy %d" % time.monotonic_ns()
                    digest = images.digest_of(content)
                    answer = client.post(
                        f"{url}/blobs/uploads/", params={"digest": digest}, content=content
                    )
            answer.raise_for_status()
            seconds.append(time.monotonic() - begun)
        except httpx.TransportError:
            lost += 1
            if lost >= 3:  # It does not get better.
                lost += MEASURED - number - 1
                break
    found = {"lost": lost, "of": MEASURED}
    if len(seconds) > 1:
        found["p50"] = round(statistics.median(seconds), 4)
        found["p95"] = round(statistics.quantiles(seconds, n=20)[-1], 4)
    return found


def measure(address: Address, token: str, texts: dict[str, bytes]) -> dict[str, Any]:
    """Before, while and after the slow ones are there."""
    before = healthy(address, token)
    slow = SlowClients(address, texts)
    slow.start()
    slow.ready.wait(60)
    held, ended = slow.open, slow.ended
    during = healthy(address, token)
    during["cut_off"] = slow.ended - ended
    slow.stop.set()
    slow.join(60)
    time.sleep(2)
    return {"held": held, "before": before, "during": during, "after": healthy(address, token)}


@contextlib.contextmanager
def arrangement(name: str, folder: Path) -> Iterator[tuple[Installation, Address]]:
    """An installation, and where clients reach its registry."""
    accelerated = {} if name == "gunicorn" else {"REGISTRY__STORAGE__ACCEL_PREFIX": "/-/blobs"}
    installation = Installation(folder / name, BERTH__TOKEN_EXPIRE_DELAY="60", **accelerated)
    host, _, port = installation.registry.partition(":")
    direct = ("127.0.0.1" if host == "localhost" else host, int(port))
    nginx: Nginx | None = None
    installation.start()
    try:
        if name != "gunicorn":
            nginx = Nginx(folder / f"{name}-proxy", direct, installation.home / "registry")
            if name == "nginx":
                path = folder / f"{name}-proxy" / "nginx.conf"
                buffered = path.read_text()
                path.write_text(buffered.replace("request_buffering on", "request_buffering off"))
            nginx.start()
        yield installation, nginx.address if nginx else direct
    finally:
        if nginx:
            nginx.stop()
        installation.stop()


def main() -> int:
    """Measure each arrangement and print one JSON object."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    results = {}
    with tempfile.TemporaryDirectory(prefix="berth-slow-") as folder:
        for kind in sys.argv[1:] or ("gunicorn", "nginx", "nginx-buffered"):
            with arrangement(kind, Path(folder)) as (installation, address):
                with Wire(installation, "root/app") as wire:
                    wire.push(images.tiny("slow"), "1")
                    content = bytes(BLOB)
                    wire.push_blob(content)
                token = installation.token("repository:root/app:pull,push")
                begun = httpx.post(
                    f"{installation.registry_url}/v2/root/app/blobs/uploads/",
                    headers={"Authorization": f"Bearer {token}"},
                )
                location, digest = begun.headers["Location"], images.digest_of(content)
                texts = {
                    "headers": head("GET", "/v2/root/app/manifests/1", address, token)
                    + b"X-Slow: ",
                    "bodies": head("PATCH", location, address, token, "Content-Length: 1000000", "")
                    + b"x",
                    "readers": head("GET", f"/v2/root/app/blobs/{digest}", address, token, ""),
                }
                for some in (*([one] for one in texts), list(texts)):
                    name = f"{kind}: {', '.join(some)}"
                    results[name] = measure(address, token, {one: texts[one] for one in some})
                    print(name, results[name], file=sys.stderr)
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The loads: each is run against one server and answers with one figure."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.servers import Server

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_STEP = 1024 * 1024
_PIECE = 512 * 1024
_PERCENTILES = (50, 95, 99)
_REPORT = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status) if status ~= %d then wrong = wrong + 1 end end
function done(summary, latency)
  local wrong = summary.errors.connect + summary.errors.read + summary.errors.timeout
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  print(string.format("REPORT %%d %%d %%d %%f %%f %%f", summary.requests, summary.duration, wrong,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""
"""wrk's script: how many, in how many microseconds, how many wrong, and three latencies."""

_UNITS = {"B": 1.0, "KB": 1024.0, "MB": 1024.0**2, "GB": 1024.0**3}


def digest_of(content: bytes) -> str:
    """The sha256 digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Measured(float):
    """A rate in requests a second, with how many there were and how long they took."""

    count: int
    percentiles: dict[str, float]
    """Milliseconds by ``p50``, ``p95``, ``p99``."""

    @classmethod
    def of(cls, latencies: Sequence[float], seconds: float) -> Measured:
        """What requests give that took `latencies` seconds each, and `seconds` all together."""
        ordered = sorted(latencies)
        measured = cls(len(ordered) / seconds)
        measured.count = len(ordered)
        measured.percentiles = {
            f"p{share}": ordered[min(len(ordered) * share // 100, len(ordered) - 1)] * 1000
            for share in _PERCENTILES
        }
        return measured


def wrk(
    server: Server,
    path: str,
    authorization: str,
    *,
    connections: int,
    seconds: float,
) -> tuple[float, float]:
    """Requests a second and bytes a second of GET on one path.

    Raises `RuntimeError` where any answer was not 2xx.
    """
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s"]
    command += ["-H", f"Authorization: {authorization}", "-H", f"Accept: {MANIFEST_TYPE}"]
    done = subprocess.run(
        [*command, server.address + path], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{server.name} {path}: {done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    volume = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?B)", done.stdout)
    assert rate
    assert volume
    return float(rate[1]), float(volume[1]) * _UNITS[volume[2]]


def volume(
    server: Server, path: str, authorization: str, *, connections: int, seconds: float
) -> float:
    """Bytes of bodies a second of GET on one path, read in large pieces.

    wrk reads 8 KiB at a time, and is what limits a large download then, whoever serves it.
    """
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: {authorization}\r\nAccept: */*\r\n\r\n"
    ).encode()
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(connections) as pool:
        begun = time.monotonic()
        running = [pool.submit(_download, server, request, until) for _ in range(connections)]
        total = sum(future.result() for future in running)
        return total / (time.monotonic() - begun)


def _download(server: Server, request: bytes, until: float) -> int:
    """How many bytes of bodies one connection has got when `until` is over."""
    buffer = bytearray(_PIECE)
    total = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.settimeout(None)  # A limit would cost a poll before each read.
        while time.monotonic() < until:
            connection.sendall(request)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            fields, _, begun = head.partition(b"\r\n\r\n")
            if not fields.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"{server.name}: {fields[:200]!r}")
            length = re.search(rb"(?i)content-length: (\d+)", fields)
            assert length
            total += int(length[1])
            left = int(length[1]) - len(begun)
            while left:
                received = connection.recv_into(buffer, min(left, _PIECE))
                if not received:
                    raise RuntimeError(f"{server.name}: the connection ended early")
                left -= received
    return total


def rate(
    server: Server, path: str, authorization: str, *, seconds: float, status: int = 200
) -> Measured:
    """Requests a second of GET on one path by 16 connections, each answered with `status`.

    Raises `RuntimeError` where another answer came.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_REPORT % status)
        script.flush()
        command = ["wrk", "-t1", "-c16", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", script.name]
        command += ["-H", f"Authorization: {authorization}", "-H", f"Accept: {MANIFEST_TYPE}"]
        done = subprocess.run(
            [*command, server.address + path], capture_output=True, text=True, check=True
        )
    found = re.search(r"REPORT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)", done.stdout)
    assert found, done.stdout
    if int(found[3]):
        raise RuntimeError(f"{server.name} {path}: {done.stdout}")
    measured = Measured(int(found[1]) / (int(found[2]) / 1e6))
    measured.count = int(found[1])
    measured.percentiles = {
        f"p{share}": float(found[4 + place]) / 1000 for place, share in enumerate(_PERCENTILES)
    }
    return measured


def heads(
    server: Server, path: str, token: str, *, connections: int, seconds: float, status: int = 200
) -> float:
    """HEADs a second on one path (wrk waits for the body that HEAD does not have).

    Raises `RuntimeError` where any answer was not 2xx, or with another `status` any was.
    """
    command = ["ab", "-q", "-i", "-k", f"-c{connections}", f"-t{seconds:.0f}", "-n1000000"]
    command += ["-H", f"Authorization: Bearer {token}", "-H", f"Accept: {MANIFEST_TYPE}"]
    done = subprocess.run(
        [*command, server.address + path], capture_output=True, text=True, check=True
    )
    refused = re.search(r"Non-2xx responses:\s+(\d+)", done.stdout)
    complete = re.search(r"Complete requests:\s+(\d+)", done.stdout)
    rate = re.search(r"Requests per second:\s+([\d.]+)", done.stdout)
    assert rate
    assert complete
    if (refused[1] if refused else "0") != ("0" if status < 300 else complete[1]):
        raise RuntimeError(f"{server.name} {path}: {done.stdout}")
    return float(rate[1])


class Client:
    """One connection that pushes."""

    def __init__(self, server: Server, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self.headers = {"Authorization": f"Bearer {token}"}

    def _ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        self.connection.request(
            method,
            path,
            body=body,  # type: ignore[arg-type]
            headers={**self.headers, **(headers or {})},
        )
        response = self.connection.getresponse()
        response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status}")
        return response

    def push_stream(self, name: str, steps: Iterator[bytes], digest: str) -> None:
        """POST, a chunked PATCH, PUT."""
        opened = self._ask("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
        location = _path(opened.getheader("Location") or "")
        sent = self._ask("PATCH", location, _framed(steps), {"Transfer-Encoding": "chunked"})
        self._finish(_path(sent.getheader("Location") or ""), digest)

    def _finish(self, location: str, digest: str) -> None:
        joint = "&" if "?" in location else "?"
        self._ask("PUT", f"{location}{joint}digest={digest}", headers={"Content-Length": "0"})

    def push_blob(
        self, name: str, content: memoryview | bytes, digest: str, *, chunked: bool
    ) -> None:
        """POST, PATCH and PUT as docker does."""
        opened = self._ask("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
        location = _path(opened.getheader("Location") or "")
        headers = {"Content-Type": "application/octet-stream"}
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
            sent = self._ask("PATCH", location, _framed(_steps(content)), headers)
        else:
            headers["Content-Length"] = str(len(content))
            sent = self._ask("PATCH", location, content, headers)
        self._finish(_path(sent.getheader("Location") or ""), digest)

    def push_small(self, name: str, content: bytes, digest: str) -> None:
        """POST, and a PUT with all of it."""
        opened = self._ask("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
        location = _path(opened.getheader("Location") or "")
        joint = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream"}
        self._ask("PUT", f"{location}{joint}digest={digest}", content, headers)

    def put_manifest(self, name: str, reference: str, body: bytes) -> None:
        """PUT of a manifest's bytes."""
        self._ask("PUT", f"/v2/{name}/manifests/{reference}", body, {"Content-Type": MANIFEST_TYPE})

    def mount(self, name: str, digest: str, source: str) -> None:
        """Mount a blob of another repository. Raises `RuntimeError` where it is to be uploaded."""
        path = f"/v2/{name}/blobs/uploads/?mount={digest}&from={source}"
        answer = self._ask("POST", path, headers={"Content-Length": "0"})
        if answer.status != 201:
            raise RuntimeError(f"{path}: {answer.status}")

    def push_manifest(self, name: str, reference: str, config: bytes, layers: list[bytes]) -> str:
        """A manifest of blobs that are there; its digest."""
        body = manifest_of(config, layers)
        self.put_manifest(name, reference, body)
        return digest_of(body)

    def timed(self, method: str, path: str) -> float:
        """Seconds of one request."""
        started = time.perf_counter()
        self._ask(method, path)
        return time.perf_counter() - started

    def timed_json(self, method: str, path: str) -> tuple[float, dict[str, object]]:
        """Seconds of one request, and the object that it answered with."""
        started = time.perf_counter()
        self.connection.request(method, path, headers=self.headers)
        body = json.loads(self.connection.getresponse().read())
        return time.perf_counter() - started, body

    def median_ms(self, path: str, rounds: int) -> float:
        """Milliseconds of a GET, the median of `rounds` after one that does not count."""
        self.timed("GET", path)
        return statistics.median(self.timed("GET", path) for _ in range(rounds)) * 1000


def manifest_of(config: bytes, layers: list[bytes], title: str = "") -> bytes:
    """The manifest of an image; one with a `title` is another than one without."""
    return json.dumps(
        {
            **({"annotations": {"org.opencontainers.image.title": title}} if title else {}),
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, config),
            "layers": [descriptor(LAYER_TYPE, layer) for layer in layers],
        }
    ).encode()


def descriptor(media_type: str, content: bytes) -> dict[str, object]:
    """The descriptor of `content`."""
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def _path(location: str) -> str:
    split = urlsplit(location)
    return f"{split.path}?{split.query}" if split.query else split.path


def _steps(content: memoryview | bytes) -> Iterator[memoryview]:
    view = memoryview(content)
    for start in range(0, len(view), _STEP):
        yield view[start : start + _STEP]


def _framed(steps: Iterable[memoryview | bytes]) -> Iterator[memoryview | bytes]:
    """`steps` in the chunked coding. Python's own client copies each of them to put it in."""
    ending = b""
    for step in steps:
        yield b"%s%x\r\n" % (ending, len(step))
        yield step
        ending = b"\r\n"
    yield ending + b"0\r\n\r\n"


class Payloads:
    """Contents that differ from each other, made before the clock runs."""

    def __init__(self, size: int) -> None:
        self._base = bytearray(os.urandom(min(size, 64 * 1024 * 1024)))
        while len(self._base) < size:
            self._base += self._base[: size - len(self._base)]

    def next(self) -> tuple[memoryview, str]:
        """A new content with its digest."""
        self._base[:16] = os.urandom(16)
        return memoryview(self._base), digest_of(self._base)  # type: ignore[arg-type]


def time_push(server: Server, token: str, payloads: Payloads, *, chunked: bool) -> float:
    """Seconds for one blob from POST to the 201 of PUT."""
    content, digest = payloads.next()
    client = Client(server, token)
    started = time.perf_counter()
    client.push_blob("bench/push", content, digest, chunked=chunked)
    return time.perf_counter() - started


def push_many(server: Server, token: str, size: int, count: int) -> float:
    """Seconds for `count` blobs of `size` bytes, all at once."""
    shared = bytes(os.urandom(1024 * 1024)) * (size // (1024 * 1024))
    failures: list[BaseException] = []

    def push(number: int) -> None:
        try:
            content = bytearray(shared)
            content[:8] = number.to_bytes(8, "big")
            content[8:24] = os.urandom(16)
            client = Client(server, token)
            client.push_blob("bench/many", content, digest_of(content), chunked=True)  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(count)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{len(failures)} of {count} pushes failed: {failures[0]}")
    return time.perf_counter() - started


def write_results(path: Path, rows: list[dict[str, object]]) -> None:
    """The results as JSON. A work that was not measured this time keeps what it had."""
    known = json.loads(path.read_text()) if path.exists() else []
    measured = {row["work"]: row for row in rows}
    kept = [measured.pop(row["work"], row) for row in known]
    path.write_text(json.dumps([*kept, *measured.values()], indent=2) + "\n")

"""What the largest manifests need goes back when they have been read: measured in a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engineless

KEPT = 64 * 1024 * 1024
"""Bytes, after 64 manifests by four threads at once. As glibc comes it is 80 million."""
_CHILD = """
import gc, json, resource, threading
from registry import manifest, media_types, memory

memory.give_back()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def index(**more):
    value = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [], **more}
    return json.dumps(value).encode()

def read(body):
    for _ in range(8):
        # In chunks, as a request's body comes.
        chunks = [body[start : start + 65536] for start in range(0, len(body), 65536)]
        manifest.parse(b"".join(chunks), None)

child = {"mediaType": media_types.OCI_MANIFEST, "size": 2}
bodies = [
    index(manifests=[
        {**child, "digest": f"sha256:{n:064x}", "platform": {"os": "linux", "architecture": f"a{n}"},
         "annotations": {f"k{n}": "v" * 90}}
        for n in range(10_000)
    ]),
    index(annotations={f"{n:x}": "" for n in range(290_000)}),
]
gc.collect()
before = resident()
for body in bodies:
    threads = [threading.Thread(target=read, args=(body,)) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
gc.collect()
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_large_manifests_are_not_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(done.stdout) < KEPT, f"{int(done.stdout):,} bytes are kept"

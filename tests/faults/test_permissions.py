"""F38: a folder of the store that the node may not enter, as after a careless ``chmod -R``."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import components
from tests.e2e.installation import Installation
from tests.faults import nodes
from tests.faults.load import NAMES, Journal, Load, Registry, digest_of, verify
from tests.faults.test_running import SEED, assert_whole

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.engineless]

_RIGHTS = "-dac_override,-dac_read_search"
"""What lets root read and write whatever the modes of files say."""


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Installation]:
    """A node for which the modes of files count, also where root runs the tests."""
    berth = Installation(tmp_path / "node", **nodes.QUICK)
    if os.geteuid() == 0:
        berth.prefix = (str(components.require("capabilities")), "--bounding-set", _RIGHTS)
    berth.start()
    yield berth
    berth.discard()


def test_f38_a_folder_without_rights(bound: Installation, journal: Journal) -> None:
    """503 for what is in that folder, everything else goes on, and so does that with rights
    again.
    """
    registry, chance = Registry(bound), random.Random(SEED)
    body, other = chance.randbytes(50_000), chance.randbytes(50_000)
    assert registry.push_image(NAMES[3], "behind", [body])[0] == 201
    assert registry.push_image(NAMES[3], "beside", [other])[0] == 201
    digest = digest_of(body)
    folder = nodes.path_of(bound, digest).parent
    address = f"/v2/{NAMES[3]}/blobs/{digest}"
    for _ in range(3):
        with Load(bound, journal, seed=SEED, clients=2) as load:
            folder.chmod(0)
            try:
                journal.injections += 1
                answer = registry.request("GET", address)
                assert answer.status_code == 503
                assert answer.headers["Retry-After"]
                assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
                assert registry.request("HEAD", address).status_code == 503
                # Sent anew it can't get there either, and no manifest may rely on it.
                assert registry.push_blob(NAMES[2], body, asks=False) == 503
                assert registry.push_image(NAMES[3], "behind", [body])[0] == 503
                assert any("unreachable" in found and digest in found for found in verify(bound))
                # Nobody else notices.
                assert nodes.readiness(bound) == 200
                assert registry.pull(NAMES[3], "beside")
                for number in range(5):
                    layer = chance.randbytes(20_000)
                    assert registry.push_image(NAMES[3], f"new{number}", [layer])[0] == 201
                    assert registry.pull(NAMES[3], f"new{number}")
            finally:
                folder.chmod(0o750)
            assert registry.pull(NAMES[3], "behind")
            assert registry.push_blob(NAMES[2], body, asks=False) == 201
        assert load.faults == []
    assert_whole(bound, journal)

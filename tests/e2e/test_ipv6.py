"""IPv6 from end to end: the processes listen, the realm is reached, clients log in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.clients import Podman, Skopeo, trust
from tests.e2e.installation import Installation, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]


@pytest.fixture
def berth(make_installation: Callable[..., Installation]) -> Installation:
    return make_installation(
        EXTERNAL_URL=f"http://[::1]:{free_port()}",
        REGISTRY_EXTERNAL_URL=f"http://[::1]:{free_port()}",
    )


def test_clients_log_in_and_the_doctor_finds_nothing(
    berth: Installation, skopeo: Skopeo, podman: Podman
) -> None:
    """Debian's clients know no names of images with an IPv6 literal, so they log in and no more;
    docker takes plain http from 127.0.0.0/8 alone and wants TLS here.

    The doctor pushes a part of an upload, by the address that clients use.
    """
    skopeo.login(berth.registry, "root", berth.root_password, trust(berth))
    podman.login(berth.registry, "root", berth.root_password, trust(berth))
    findings = berth.manage("doctor")
    for check in ("realm", "token_accepted", "location", "chunked_bodies", "large_bodies"):
        assert f"ok   {check}" in findings

"""People and names for the tests with real clients."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import certificates, components
from tests.e2e.components import free_port
from tests.e2e.installation import Installation
from tests.people import PASSWORD

_numbers = itertools.count()


@dataclass(frozen=True)
class Person:
    """Somebody with a namespace of their own."""

    username: str
    password: str


@pytest.fixture(scope="session")
def berth_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """As `berth`, with TLS on both listeners and an authority that no machine knows."""
    folder = tmp_path_factory.mktemp("berth-tls")
    installation = Installation(
        folder,
        EXTERNAL_URL=f"https://localhost:{free_port()}",
        REGISTRY_EXTERNAL_URL=f"https://localhost:{free_port()}",
        BERTH__PROCESSES="1",
        **certificates.make(folder / "certificates").settings,
    )
    installation.start()
    yield installation
    installation.discard()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Closed with the module: while it runs, Django takes the thread for an asynchronous one."""
    from playwright.sync_api import expect, sync_playwright

    path = components.require("chromium")
    # Milliseconds in which a busy machine shows it too; five seconds are the default.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["http", "tls"])
def either(request: pytest.FixtureRequest) -> Installation:
    """`berth`, then `berth_tls`: what a client does over one line, it does over the other."""
    name = {"http": "berth", "tls": "berth_tls"}[request.param]
    installation: Installation = request.getfixturevalue(name)
    return installation


_made: set[tuple[str, str]] = set()


def person_at(installation: Installation, username: str) -> Person:
    """Somebody of this name, made where there is nobody yet."""
    if (installation.url, username) not in _made:
        installation.create_user(username)
        _made.add((installation.url, username))
    return Person(username, PASSWORD)


@pytest.fixture
def alice(berth: Installation) -> Person:
    """Pushes to her own namespace."""
    return person_at(berth, "alice")


@pytest.fixture
def project(alice: Person) -> str:
    """A path in Alice's namespace that no other test uses; nobody has made the project."""
    return f"{alice.username}/app-{next(_numbers)}"

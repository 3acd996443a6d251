"""How often a token waits for PostgreSQL, once the server knows each of its statements."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitlab.authorization.test_deploy_token import ask, granted
from tests.round_trips import RoundTrips

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> RoundTrips:
    return RoundTrips(monkeypatch)


@pytest.mark.parametrize("actions", ["pull", "pull,push"])
def test_a_persons_token(
    actions: str, bob: Any, make_token: Any, make_project: Any, round_trips: RoundTrips
) -> None:
    """Who it is, with where the images are; then what they may, with what holds there."""
    make_project("acme/app", developers=[bob])
    make_project("acme/lib", developers=[bob])
    scopes = [f"repository:acme/{name}/image:{actions}" for name in ("app", "lib")]
    text = make_token(bob, "api")
    for _ in range(4):
        round_trips.begin()
        assert len(granted(ask("bob", text, *scopes))) == 2

    assert round_trips.count == 2


def test_a_deploy_token(make_project: Any, make_deploy_token: Any, round_trips: RoundTrips) -> None:
    """What it may follows from where it is from."""
    token, text = make_deploy_token(make_project("acme/app"))
    for _ in range(4):
        round_trips.begin()
        assert granted(ask(token.username, text, "repository:acme/app/image:pull,push"))

    assert round_trips.count == 2

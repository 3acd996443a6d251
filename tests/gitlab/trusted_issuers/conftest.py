"""An issuer, a project that trusts it, and the token endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.people import person
from tests.played_issuer import NETWORK, PlayedIssuer


@pytest.fixture
def issuer(settings: Any) -> Iterator[PlayedIssuer]:
    """An issuer on loopback, where this installation lets issuers be."""
    from gitlab.trusted_issuers import discovery

    settings.ISSUER_NETWORKS = [NETWORK]
    discovery.KEYS.forget()
    with PlayedIssuer().serving() as played:
        yield played
    discovery.KEYS.forget()


@pytest.fixture
def app(make_project: Any, alice: Any) -> Any:
    """Alice's project in her group."""
    return make_project("acme/app", owner=alice)


@pytest.fixture
def make_trust(issuer: PlayedIssuer) -> Callable[..., Any]:
    """``make_trust(app, actions=["pull"])``: in jobs of octo/app, to pull and push."""

    from gitlab.trusted_issuers import services

    def make(of: Any, **columns: Any) -> Any:
        terms = {
            "name": "octo",
            "issuer": issuer.url,
            "conditions": {"repository": "octo/app"},
            "actions": ["pull", "push"],
        }
        return services.create(person("root", is_superuser=True), of, **terms | columns)

    return make


@pytest.fixture
def id_token(issuer: PlayedIssuer, settings: Any) -> Callable[..., str]:
    """``id_token(ref="…")``: for this installation."""
    return lambda **claims: issuer.token(claims.pop("aud", settings.EXTERNAL_URL), **claims)

"""A provider that is played, with what the settings say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.gitlab.identity_providers.played_provider import PlayedProvider


@pytest.fixture
def provider(settings: Any) -> Iterator[PlayedProvider]:
    """A provider called ``sso``, whose settings are `provider.settle(key=value)`."""
    from gitlab.identity_providers import openid_connect

    openid_connect.KEYS.forget()
    with PlayedProvider().serving() as played:

        def settle(**keys: Any) -> None:
            from gitlab.config.identity_tables import OpenIDConnect

            table = {"issuer": played.url, "client_id": "berth", "client_secret": "hush", **keys}
            settings.IDENTITY_PROVIDERS = {"sso": OpenIDConnect(**table)}

        played.settle = settle
        settle(create_users=True)
        yield played
    openid_connect.KEYS.forget()


@pytest.fixture
def come(provider: PlayedProvider, client: Any) -> Callable[..., Any]:
    """``come(sub="1")``: sign in by the provider, which says so; the last answer."""
    return lambda **claims: provider.come(client, **claims)

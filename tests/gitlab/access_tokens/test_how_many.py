"""How many personal access tokens of one person may work at once."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.access_tokens import services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.refusals import TooMany

pytestmark = pytest.mark.django_db


def test_more_than_may_are_refused(alice: Any, bob: Any, settings: Any) -> None:
    settings.TOKENS_PER_PERSON = 2
    first, _ = services.create(alice, name="one", scopes=["api"])
    services.create(alice, name="two", scopes=["api"])
    with pytest.raises(TooMany, match="2 tokens that work"):
        services.create(alice, name="three", scopes=["api"])
    assert PersonalAccessToken.objects.count() == 2
    services.create(bob, name="one", scopes=["api"])
    services.revoke(alice, first)
    services.create(alice, name="three", scopes=["api"])
    settings.TOKENS_PER_PERSON = 0
    services.create(alice, name="four", scopes=["api"])

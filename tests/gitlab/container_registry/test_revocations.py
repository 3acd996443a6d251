"""Telling the registry which tokens have ended."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry import revocations
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import Ended
from gitlab.revocations.models import Revocation
from gitlab.revocations.services import end_tokens

pytestmark = pytest.mark.django_db


def test_each_is_told_once(played: Any) -> None:
    began = time.time()
    end_tokens(subject="bob")
    end_tokens(subject="bob")
    end_tokens(credential="access_token:1")
    assert revocations.tell(played) == 3
    assert [ended for ended, _ in played.revoked] == [
        [Ended(subject="bob"), Ended(credential="access_token:1")]
    ]
    assert began <= played.revoked[0][1] <= time.time()
    assert revocations.tell(played) == 0
    assert len(played.revoked) == 1


def test_a_registry_that_does_not_answer_is_told_again(played: Any) -> None:
    end_tokens(path="acme/app")
    played.trouble = RegistryUnavailable("nobody there")
    with pytest.raises(RegistryUnavailable):
        revocations.tell(played)
    assert Revocation.objects.get().told_at is None
    played.trouble = None
    assert revocations.tell(played) == 1
    assert len(played.revoked) == 1


def test_many_are_told_in_parts(played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "AT_ONCE", 2)
    for number in range(5):
        end_tokens(credential=f"access_token:{number}")
    assert revocations.tell(played) == 5
    assert [len(ended) for ended, _ in played.revoked] == [2, 2, 1]


def test_another_registry_is_told_nothing(played: Any) -> None:
    played.has_own_api = False
    end_tokens(subject="bob")
    assert revocations.tell(played) == 1
    assert played.revoked == []


def test_what_was_told_goes_after_a_day(played: Any) -> None:
    end_tokens(subject="bob")
    revocations.tell(played)
    Revocation.objects.update(told_at=timezone.now() - dt.timedelta(days=2))
    end_tokens(subject="carol")
    revocations.tell(played)
    assert Revocation.objects.get().subject == "carol"

"""Owners are told of limits that are nearly used up: once at each percent, again after it fell."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from gitlab.container_registry.client.responses import Used
from gitlab.mail import services as mails
from gitlab.quotas import notices, services
from gitlab.quotas.models import Quota

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _on(settings: Any, enqueued: Any) -> None:
    settings.MAIL_ENABLED = True
    settings.EXTERNAL_URL = "https://gitlab.test"


@pytest.fixture
def warn(played: Any) -> Any:
    """Looks at all limits after `used` bytes and images; to whom mail went, and its subject."""

    def look(path: str, size: int, images: int = 0, *, counted: bool = True) -> Any:
        played.used[path] = Used(path, size, images, counted)
        mail.outbox.clear()
        notices.warn(played)
        mails.send_due()
        return sorted((each.to[0].partition("@")[0], each.subject) for each in mail.outbox)

    return look


def limited(by: Any, owner: Any, size: int | None, images: int | None = None) -> None:
    services.set_quota(by, owner, max_bytes=size, max_images=images)


def test_once_at_each_percent_and_again_after_it_fell(warn: Any, alice: Any, acme: Any) -> None:
    limited(alice, acme, 1000)
    told = [("alice", "acme has used 80 % of its storage quota")]
    assert warn("acme", 799) == []
    assert warn("acme", 800) == told
    assert warn("acme", 949) == []
    assert [who for who, _ in warn("acme", 960)] == ["alice"]
    assert warn("acme", 1200) == []
    assert warn("acme", 850) == []
    assert warn("acme", 100) == []
    assert warn("acme", 800) == told
    text = mail.outbox[0].body
    assert "storage: 800\xa0bytes of 1000\xa0bytes" in text
    assert "https://gitlab.test/groups/acme/-/storage" in text
    assert "images" not in text


def test_images_count_too_and_what_is_not_counted_does_not(
    warn: Any, root: Any, alice: Any, app: Any
) -> None:
    limited(root, app, 100, 10)
    assert warn("acme/app", 100, 1, counted=False) == []
    told = warn("acme/app", 100, 8, counted=False)
    assert [who for who, _ in told] == ["alice"], "bob and carol own nothing"
    text = mail.outbox[0].body
    assert "storage: not counted yet of 100\xa0bytes" in text
    assert "images: 8 of 10" in text
    assert "An administrator may set another limit." in text
    assert "https://gitlab.test/acme/app/-/storage" in text


def test_the_installations_default_is_told_of(warn: Any, settings: Any, acme: Any) -> None:
    settings.QUOTA_BYTES = 1000
    assert [who for who, _ in warn("acme", 990)] == ["alice"]
    assert services.of(acme) == Quota.objects.get(namespace=acme)
    assert warn("bob", 900) == [("bob", "bob has used 90 % of its storage quota")]


def test_nothing_where_mail_is_off_or_nothing_is_limited(
    warn: Any, settings: Any, alice: Any, acme: Any
) -> None:
    limited(alice, acme, None)
    assert warn("acme", 10**12) == []
    limited(alice, acme, 10)
    settings.MAIL_ENABLED = False
    assert warn("acme", 10) == []
    assert Quota.objects.get().warned_percent == 0
    assert Quota.objects.get().used_percent == 100, "for home, without mail too"
    settings.MAIL_ENABLED = True
    assert [who for who, _ in warn("acme", 10)] == ["alice"], "told once there is mail"
    limited(alice, acme, None)
    assert Quota.objects.get().used_percent == 0, "of another limit nobody knows yet"


def test_a_part_at_a_time_the_oldest_first(
    warn: Any, monkeypatch: pytest.MonkeyPatch, alice: Any, acme: Any, app: Any
) -> None:
    monkeypatch.setattr(notices, "AT_ONCE", 1)
    limited(alice, acme, 10)
    limited(alice, app, 10)
    assert [who for who, _ in warn("acme", 10)] == ["alice"]
    assert [subject for _, subject in warn("acme/app", 10)] == [
        "acme/app has used 100 % of its storage quota"
    ]
    assert warn("acme", 10) == []

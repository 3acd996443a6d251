"""What a new password has to be."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from gitlab.accounts import services
from gitlab.refusals import Invalid

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]

MINIMUM = "django.contrib.auth.password_validation.MinimumLengthValidator"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("sh0rt-1", "too short"),
        ("password123", "too common"),
        ("qwertyuiop", "too common"),
        ("alice@example.com", "too similar to the email"),
        ("alice.alice", "too similar to the"),
    ],
)
def test_bad_ones_are_refused(alice: Any, root: Any, password: str, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        services.change_password(alice, password, by=root)
    assert why in " ".join(refused.value.messages)


def test_a_good_one_is_taken(alice: Any, root: Any) -> None:
    services.change_password(alice, "seven herons at low tide", by=root)
    assert alice.check_password("seven herons at low tide")


@override_settings(
    AUTH_PASSWORD_VALIDATORS=[{"NAME": MINIMUM, "OPTIONS": {"min_length": 12}}],
    PASSWORD_MIN_LENGTH=12,
)
def test_the_shortest_is_a_setting(client: Any, alice: Any, root: Any) -> None:
    with pytest.raises(Invalid):
        services.change_password(alice, "elevenchars", by=root)
    client.force_login(alice)
    page = client.get("/-/user_settings/password").content.decode()
    assert "At least 12 characters" in page

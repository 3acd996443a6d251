"""A second factor for tests: an authenticator app that shows the next code."""

from __future__ import annotations

import time
from typing import Any


def set_up_app(user: Any) -> str:
    """An app for somebody, and recovery codes, as the page makes them; the app's secret."""
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret


def code_of(secret: str, later: int = 0) -> str:
    """What the app shows, or shows so many half minutes later. One of them is taken early."""
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + later))


def recovery_codes(user: Any) -> list[str]:
    """Those that are left."""
    from allauth.mfa.models import Authenticator

    row = Authenticator.objects.get(user=user, type="recovery_codes")
    found: list[str] = row.wrap().get_unused_codes()
    return found

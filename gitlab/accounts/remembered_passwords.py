"""A verified password is remembered for five minutes, as a keyed digest.

docker asks for a token at every step of a push, and checking a password costs a third of a second
each time. What is kept is an HMAC over the user's id, the stored hash and the password, under this
installation's secret: never the password, and useless once the password is changed.
"""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings
from django.core.cache import cache

from gitlab.accounts.models import User

SECONDS = 300


def _key(user: User) -> str:
    return f"verified-password:{user.pk}"


def _digest(user: User, password: str) -> str:
    text = f"{user.pk}\0{user.password}\0{password}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()


def knows(user: User, password: str) -> bool:
    """Whether exactly this password was verified in the last five minutes."""
    kept = cache.get(_key(user))
    return isinstance(kept, str) and hmac.compare_digest(kept, _digest(user, password))


def remember(user: User, password: str) -> None:
    """Keep that this password is right."""
    cache.set(_key(user), _digest(user, password), SECONDS)


def forget(user: User) -> None:
    """Drop what is kept: the password has changed, or the user is blocked."""
    cache.delete(_key(user))

"""A verified password is remembered for five minutes, as a keyed digest.

docker asks for a token at every step of a push, and checking a password costs a third of a second
each time. What is kept is an HMAC over the user's id, the stored hash and the password, under this
installation's secret: never the password, and useless once the password is changed.

Nobody needs it: where the cache can't be reached, the password is checked each time.
"""

from __future__ import annotations

import hashlib
import hmac
import logging

from django.conf import settings
from django.core.cache import cache

from gitlab.accounts.models import User

log = logging.getLogger(__name__)

SECONDS = 300

DIRECTORY = "directory"
"""Where a password was verified that is not ours."""


def _key(user: User, at: str = "") -> str:
    return f"verified-password:{user.pk}{at and ':'}{at}"


def _digest(user: User, password: str) -> str:
    text = f"{user.pk}\0{user.password}\0{password}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()


def knows(user: User, password: str, *, at: str = "") -> bool:
    """Whether exactly this password was verified in the last five minutes, by us or `at` others."""
    try:
        kept = cache.get(_key(user, at))
    except _redis_error() as error:
        _warn(error)
        return False
    return isinstance(kept, str) and hmac.compare_digest(kept, _digest(user, password))


def remember(user: User, password: str, *, at: str = "") -> None:
    """Keep that this password is right."""
    try:
        cache.set(_key(user, at), _digest(user, password), SECONDS)
    except _redis_error() as error:
        _warn(error)


def forget(user: User) -> None:
    """Drop what is kept: the password has changed, or the user is blocked.

    Where it can't be dropped it does no harm: it is keyed with the hash that has changed, and who
    is blocked is refused before.
    """
    try:
        cache.delete_many([_key(user), _key(user, DIRECTORY)])
    except _redis_error() as error:
        _warn(error)


def _redis_error() -> type[Exception]:
    """What a cache in Redis raises. Asked for where something was raised: elsewhere its driver need
    not be loaded, by far the largest of what a command imports.
    """
    from redis.exceptions import RedisError

    return RedisError


def _warn(error: Exception) -> None:
    # The type alone: a driver's message may hold the address it was given.
    log.warning("the cache can't be used: %s", type(error).__name__)

"""The settings of installations that tests start: the product's, but for what a password costs.

Hashing one takes a third of a second, on purpose; whoever is made or signs in first costs one.
Those `from_nothing` have the product's own settings.
"""

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from gitlab.settings import *  # noqa: F403


class QuickHasher(PBKDF2PasswordHasher):
    """The product's, in no time. Either reads what the other has written."""

    iterations = 1000


PASSWORD_HASHERS = [f"{__name__}.{QuickHasher.__qualname__}"]

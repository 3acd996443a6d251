"""Django's door for a name and a password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from gitlab.accounts import passwords
from gitlab.accounts.models import User


class ActiveUserBackend(ModelBackend):
    """Lets in who is active and knows the password; a name or an address serves as the name.

    `get_user`, inherited, answers None for whoever was blocked meanwhile.
    """

    def authenticate(  # type: ignore[override]
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The user, or None. Costs the same time for a name that nobody has."""
        if username is None or password is None:
            return None
        return passwords.check(username, password)

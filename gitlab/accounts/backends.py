"""Django's door for a name and a password: its console's sign-in page and the tests use it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from gitlab.accounts import sign_in
from gitlab.accounts.factors import standing
from gitlab.accounts.failed_logins import TooManyFailedLogins
from gitlab.accounts.models import User


class ActiveUserBackend(ModelBackend):
    """Lets in who is active and knows the password, with failures counted as everywhere.

    Who has two factors does not get in here: these doors ask for none.
    """

    def get_user(self, user_id: Any) -> User | None:
        """Whose session this is, with their standing; None for whoever was blocked meanwhile."""
        user = standing.read_along(User.objects.filter(pk=user_id)).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The user, or None. Raises `PermissionDenied` after too many failures."""
        if username is None or password is None:
            return None
        address = request.META.get("REMOTE_ADDR", "") if request is not None else ""
        try:
            return sign_in.verify(username, password, address=address)
        except sign_in.SignInRefused:
            return None
        except TooManyFailedLogins as error:
            raise PermissionDenied(str(error)) from error

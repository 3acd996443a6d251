"""The Django apps of people, and of where they are signed in."""

from allauth.usersessions.apps import UserSessionsConfig
from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class AccountsConfig(AppConfig):
    """Users, sign-in, passwords."""

    name = "gitlab.accounts"
    label = "accounts"
    verbose_name = "Users"


class ActiveSessionsConfig(UserSessionsConfig):
    """allauth's sessions, of which its own app would read all at each sign-in."""

    verbose_name = "Sessions"

    def ready(self) -> None:
        """Note each session that begins."""
        from gitlab.accounts.middleware import note_sign_in

        user_logged_in.connect(note_sign_in, dispatch_uid="gitlab.accounts.sessions")

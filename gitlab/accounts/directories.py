"""Directories (LDAP) that know people's passwords, asked beside our own.

Who asks them stands above this room: `settings.DIRECTORY_DOOR` names it, as settings name an
authorizer. Without a directory nothing is asked, and nothing of it is loaded.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple, Protocol, cast

from django.conf import settings

from gitlab.accounts import remembered_passwords
from gitlab.accounts.models import User


class Answer(NamedTuple):
    """Whose password it is, if anybody's; whether a directory that may know did not answer."""

    user: User | None
    away: bool = False


class DirectoryAway(Exception):
    """The directory that has somebody's password does not answer."""

    def __init__(self) -> None:
        super().__init__("Your directory does not answer. Try again in a moment.")


class _Door(Protocol):
    """What `settings.DIRECTORY_DOOR` has."""

    def verify(self, login: str, password: str, *, user: User | None, looks: bool) -> Answer: ...
    def label(self, user: User) -> str: ...
    def is_password_of(self, user: User, password: str) -> bool: ...


def _door() -> _Door | None:
    if not settings.DIRECTORIES:
        return None
    return cast("_Door", importlib.import_module(settings.DIRECTORY_DOOR))


def remember(user: User, password: str) -> bool:
    """Whether a directory has taken this for the password of `user` within five minutes."""
    if not settings.DIRECTORIES:
        return False
    return remembered_passwords.knows(user, password, at=remembered_passwords.DIRECTORY)


def verify(login: str, password: str, *, user: User | None, looks: bool) -> Answer:
    """Whose password this is in a directory. `user` is who has that name or address here.

    Without `looks` no password is held against anything, and that must not show.
    """
    door = _door()
    if door is None:
        return Answer(None)
    answer = door.verify(login, password, user=user, looks=looks)
    if answer.user is not None and answer.user.is_active:
        remembered_passwords.remember(answer.user, password, at=remembered_passwords.DIRECTORY)
    return answer


def label(user: User) -> str:
    """What the directory is called that has somebody's password; "" for who has none there."""
    door = _door()
    return door.label(user) if door else ""


def is_password_of(user: User, password: str) -> bool:
    """Whether a directory takes this for the password of `user`. Raises `DirectoryAway`."""
    door = _door()
    return door.is_password_of(user, password) if door else False


def names() -> list[str]:
    """What the directories are called."""
    return [table.label or name for name, table in settings.DIRECTORIES.items()]

"""Who acts and who asks, as every room above this one knows them.

    Actor ◄── Person ◄── accounts.User             (and, later: a deploy token, a job, a bot)

An `Actor` is what the record names. A `Person` is an actor with memberships, who may sign in. The
row behind a person is `accounts.User`, which stands higher up: rooms below it ask for no more than
what is said here, so that a principal need not be a person for them either.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from django.contrib.auth.models import AnonymousUser


class Actor(Protocol):
    """Whoever does something: how the record names them."""

    @property
    def person_id(self) -> int | None:
        """The id of the person's row; None for what is no person, a deploy token, say."""

    @property
    def username(self) -> str:
        """The name that is signed into tokens, and so is in the registry's records."""

    @property
    def label(self) -> str:
        """The name that is kept in our own record, for people: that of a person is `username`."""


class Person(Actor, Protocol):
    """Somebody with an account, whether they may sign in now (`is_active`) or not."""

    @property
    def pk(self) -> Any:
        """The id of their row."""

    @property
    def name(self) -> str:
        """The name that people read."""

    @property
    def is_active(self) -> bool:
        """Whether they may sign in and act."""

    @property
    def is_authenticated(self) -> bool:
        """True: a visitor is Django's `AnonymousUser`."""

    @property
    def is_superuser(self) -> bool:
        """Whether they administer the installation."""

    @property
    def is_bot(self) -> bool:
        """Whether it is no human: a project's or group's access token acts as one."""

    @property
    def external(self) -> bool:
        """Whether they see only what is public and what they are a member of."""


Anybody: TypeAlias = Person | AnonymousUser | None
"""A person, a visitor of a page, or nobody: whoever asks to see something."""


def somebody(user: Anybody) -> Person | None:
    """The person, or None for a visitor, and for a blocked one, who counts as nobody."""
    if user is None or isinstance(user, AnonymousUser) or not user.is_active:
        return None
    return user

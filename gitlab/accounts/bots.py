"""Bots: accounts that nobody can sign in as, for the access tokens of projects and groups.

A bot has no password, no namespace and no address that mail reaches. It is a member of its project
or group, and of nothing else.
"""

from __future__ import annotations

import secrets

from gitlab.accounts.models import User
from gitlab.namespaces.models import Member, Project, Routable

_MAIL_HOST = "noreply.invalid"
"""A name that can never be somebody's: RFC 2606."""


def create(owner: Routable, name: str, *, external: bool) -> User:
    """A new bot for a token called `name` of a project or group."""
    kind = "project" if isinstance(owner, Project) else "group"
    username = f"{kind}_{owner.pk}_bot_{secrets.token_hex(16)}"
    bot = User(
        username=username,
        email=f"{username}@{_MAIL_HOST}",
        name=name_of(name, owner),
        external=external,
        user_type=User.Type.PROJECT_BOT,
    )
    bot.set_unusable_password()
    bot.save(force_insert=True)
    return bot


def name_of(name: str, owner: Routable) -> str:
    """How a bot shows wherever it acts: ``token NAME of PROJECT``."""
    return f"token {name} of {owner.full_path}"[:255]


def end(bot_id: int) -> None:
    """It belongs nowhere from now on, and stays for the records that name it."""
    bot = User.objects.filter(pk=bot_id, user_type=User.Type.PROJECT_BOT)
    bot.update(state=User.State.BLOCKED)
    Member.objects.filter(user__in=bot).delete()

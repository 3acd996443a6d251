"""What a provider says of somebody, whatever protocol it speaks."""

from __future__ import annotations

from dataclasses import dataclass

from gitlab.config.identity_tables import Membership

MOST_GROUPS = 5000
"""Of one person."""

LONGEST = 255
"""Characters of whatever a provider says."""


class ProviderRefused(Exception):
    """Nobody comes in by this. The message is for the log; people read `SIGN_IN_FAILED`."""


class ProviderUnavailable(Exception):
    """The provider does not answer as it should; the message is for the log."""


@dataclass(frozen=True)
class Profile:
    """Somebody, in the provider's words. `email` is "" where it is not proven to be theirs."""

    provider: str
    issuer: str
    subject: str
    email: str = ""
    username: str = ""
    name: str = ""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Terms:
    """What the settings say of whoever comes by a provider."""

    create_users: bool = False
    link_by_email: bool = False
    allowed_domains: frozenset[str] = frozenset()
    allowed_groups: frozenset[str] = frozenset()
    admin_group: str = ""
    memberships: tuple[Membership, ...] = ()

    def let_in(self, profile: Profile) -> bool:
        """Whether somebody is one of those who may come in at all."""
        _, _, domain = profile.email.rpartition("@")
        if self.allowed_domains and domain.lower() not in self.allowed_domains:
            return False
        return not self.allowed_groups or bool(self.allowed_groups & profile.groups)

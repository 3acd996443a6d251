"""``[berth.oidc.name]``: whose word Berth takes for who somebody is. A table for each provider."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, StringConstraints

from gitlab.config.values import Duration, Names, Table, check_address

_LEVELS = {"guest": 10, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
_MEMBERSHIP = re.compile(rf"(?P<group>\S.*?) +-> +(?P<path>\S+) +(?P<level>{'|'.join(_LEVELS)})")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Membership(NamedTuple):
    """What belonging to a provider's group gives: a level in one of our groups or projects."""

    group: str
    path: str
    level: int


def _memberships(values: list[str]) -> list[str]:
    for value in values:
        if _MEMBERSHIP.fullmatch(value) is None:
            raise ValueError(
                "each has the form GROUP -> PATH LEVEL, as in engineering -> acme/app developer;"
                f" a level is one of {', '.join(_LEVELS)}"
            )
    return values


def _issuer(value: str) -> str:
    """As it is: some issuers end in a slash, and say so."""
    check_address(value)
    split = urlsplit(value)
    if split.scheme == "http" and split.hostname not in LOOPBACK:
        raise ValueError("an issuer is reached by https, unless it is on loopback")
    return value


ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z](?:_?[a-z0-9])*$", max_length=32)]
Issuer = Annotated[str, AfterValidator(_issuer)]
Memberships = Annotated[Names, AfterValidator(_memberships)]


class OpenIDConnect(Table):
    """A provider of OpenID Connect (Keycloak, Entra ID, Okta, Google, GitLab…), by which people
    sign in: `name` stands for a name that you give it, of lower-case letters, digits and `_`. There
    may be several, each with its own table and its own button on the sign-in page. See
    [signing in](sign-in.md).
    """

    label: str = ""
    """What stands on the button.

    Default: the name of the table.
    Example: label = "Company account"
    """

    issuer: Issuer | None = None
    """The provider's issuer, exactly as its configuration says it. By https, unless it is on
    loopback. It is called at any address, also one that is not the public internet's; its
    certificate may be of an authority in `berth.issuer_ca_bundle`.

    Default: none: a table without it stops Berth.
    Example: issuer = "https://sso.example.com/realms/main"
    """

    client_id: str = ""
    """What the provider knows Berth as.

    Default: none: a table without it stops Berth.
    Example: client_id = "berth"
    """

    client_secret: SecretStr | None = None
    """The secret beside it. Each sign-in is protected by PKCE as well.

    Default: none: a public client.
    Example: client_secret = "forty-random-characters"
    """

    scopes: Names = ["openid", "profile", "email"]
    """What the provider is asked for; `openid` is always. Some give groups only with a scope of
    their own.

    Default: `openid, profile, email`.
    Example: scopes = ["openid", "profile", "email", "groups"]
    """

    username_claim: str = "preferred_username"
    """What the provider calls the name from which a new person's user name is made. Where that is
    taken or reserved, a number is added.

    Default: `preferred_username`.
    Example: username_claim = "nickname"
    """

    groups_claim: str = "groups"
    """What the provider calls the list of somebody's groups, in the ID token or at its userinfo
    endpoint.

    Default: `groups`.
    Example: groups_claim = "roles"
    """

    trust_emails: bool = False
    """Every e-mail address that the provider gives is its owner's, though it does not say
    `email_verified`. Only for a provider in which nobody can enter an address themselves.

    Default: `false`.
    Example: trust_emails = true
    """

    create_users: bool = False
    """Whoever comes and has no account gets one. Without `allowed_domains` or `allowed_groups` that
    is everybody whom the provider knows.

    Default: `false`.
    Example: create_users = true
    """

    link_by_email: bool = False
    """Whoever comes for the first time, with a verified address that somebody here has, is that
    somebody from then on. The provider can make itself anybody by that; administrators are never
    found by it.

    Default: `false`.
    Example: link_by_email = true
    """

    allowed_domains: Names = []
    """Only people come in whose verified address is in one of these domains.

    Default: none: everybody.
    Example: allowed_domains = ["example.com"]
    """

    allowed_groups: Names = []
    """Only people come in who are in one of these groups of the provider. Whose account the
    provider made and who is in none any more is blocked when they try.

    Default: none: everybody.
    Example: allowed_groups = ["engineering", "operations"]
    """

    admin_group: str = ""
    """People in this group of the provider administer the installation, as long as they are in it.
    Administrators that were made here stay what they are.

    Default: none: the provider makes nobody an administrator.
    Example: admin_group = "berth-admins"
    """

    memberships: Memberships = []
    """What the provider's groups give: a group of the provider, `->`, the path of a group or
    project, a level (`guest`, `reporter`, `developer`, `maintainer`, `owner`). Applied at each
    sign-in, and taken away when somebody is no longer in the group; memberships that were given
    here are never touched.

    Default: none.
    Example: memberships = ["engineering -> acme developer", "leads -> acme/app maintainer"]
    """

    second_factor: bool = False
    """The provider asks for a second factor itself: who comes by it is not asked for one here, and
    need not set one up.

    Default: `false`.
    Example: second_factor = true
    """

    absent_after: Duration = timedelta(0)
    """Who was created by the provider and has not come by it for so long is deactivated: their
    tokens stop, until they sign in by it again. OpenID Connect does not tell that somebody is gone,
    so this is how they go without coming. `0` never.

    Default: `0`: never.
    Example: absent_after = "30d"
    """

    @property
    def faults(self) -> list[str]:
        """The keys that are missing before anybody can sign in by it."""
        return [key for key in ("issuer", "client_id") if not getattr(self, key)]

    @property
    def given(self) -> list[Membership]:
        """`memberships`, read."""
        return read(self.memberships)


def read(memberships: list[str]) -> list[Membership]:
    """The lines of a mapping, each checked when it was set."""
    found = []
    for line in memberships:
        matched = _MEMBERSHIP.fullmatch(line)
        assert matched is not None
        path = matched["path"].lower().strip("/")
        found.append(Membership(matched["group"], path, _LEVELS[matched["level"]]))
    return found

"""``[berth.ldap.name]``: a directory that knows people and their passwords. A table for each."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gitlab.config.identity_tables import LOOPBACK, Membership, Memberships, read
from gitlab.config.values import Duration, Names, Table, comma_list

_OURS = re.compile(r"\(.*\)", re.DOTALL)


def _servers(values: list[str]) -> list[str]:
    for value in values:
        split = urlsplit(value)
        bare = not (split.path.strip("/") or split.query or split.fragment or split.username)
        if split.scheme not in ("ldap", "ldaps") or not split.hostname or not bare:
            raise ValueError("each has the form ldaps://host, or ldap://host:port")
    return values


def _filter(value: str) -> str:
    if not _OURS.fullmatch(value) or value.count("(") != value.count(")"):
        raise ValueError("a filter stands in parentheses, as in (objectClass=person)")
    return value


Attribute = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=64)]
Attributes = Annotated[
    list[Attribute], BeforeValidator(comma_list), Field(min_length=1, max_length=5)
]
Filter = Annotated[str, AfterValidator(_filter)]
Servers = Annotated[Names, AfterValidator(_servers), Field(max_length=10)]


class LDAP(Table):
    """A directory (OpenLDAP, 389, Active Directory…) whose people sign in with the password that
    they have there, on the page and with `docker login`: `name` stands for a name that you give it,
    as that of a provider. There may be several. It needs packages that the default installation has
    not: `make ldap` installs them. See [signing in](sign-in.md#directories-ldap).
    """

    label: str = ""
    """What people call it.

    Default: the name of the table.
    Example: label = "Company directory"
    """

    servers: Servers = []
    """Its servers: the next one is asked where one does not answer. By `ldaps://`, or by `ldap://`
    with `start_tls`; without either only on loopback, since passwords go there.

    Default: none: a table without it stops Berth.
    Example: servers = ["ldaps://ldap1.example.com", "ldaps://ldap2.example.com"]
    """

    start_tls: bool = False
    """Begin TLS on a connection of `ldap://`, before anything else is said.

    Default: `false`.
    Example: start_tls = true
    """

    ca_file: Path | None = None
    """The authorities of its certificates, as PEM, in place of the system's. A certificate is
    always checked.

    Default: none: those of the system.
    Example: ca_file = "/etc/gitlab/ldap-ca.crt"
    """

    bind_dn: str = ""
    """Who Berth is there, to look people up: an account that may read and nothing else.

    Default: none: nobody, where the directory lets nobody read.
    Example: bind_dn = "cn=berth,ou=services,dc=example,dc=com"
    """

    bind_password_file: Path | None = None
    """A file with its password, which nobody else may read (mode 0600). It is read whenever it is
    needed, so it may change while Berth runs.

    Default: none.
    Example: bind_password_file = "/etc/gitlab/ldap-password"
    """

    users_base: str = ""
    """Where its people are.

    Default: none: a table without it stops Berth.
    Example: users_base = "ou=people,dc=example,dc=com"
    """

    user_filter: Filter = "(objectClass=person)"
    """Which of the entries there are people who may come in. Who is not found by it is gone.

    Default: `(objectClass=person)`.
    Example: user_filter = "(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"
    """

    login_attributes: Attributes = ["uid", "mail"]
    """By which of their attributes people call themselves when they sign in.

    Default: `uid, mail`.
    Example: login_attributes = ["sAMAccountName", "mail"]
    """

    id_attribute: Attribute = "entryUUID"
    """What tells an entry from all others and never changes nor is given to another: somebody is
    found again by it alone. `objectGUID` of Active Directory is understood.

    Default: `entryUUID`.
    Example: id_attribute = "objectGUID"
    """

    username_attribute: Attribute = "uid"
    """From what a new person's user name is made. Where that is taken or reserved, a number is
    added.

    Default: `uid`.
    Example: username_attribute = "sAMAccountName"
    """

    email_attribute: Attribute = "mail"
    """Their address. It has to be one that people can't enter there themselves.

    Default: `mail`.
    Example: email_attribute = "userPrincipalName"
    """

    name_attribute: Attribute = "cn"
    """Their name, as people read it.

    Default: `cn`.
    Example: name_attribute = "displayName"
    """

    groups_base: str = ""
    """Where its groups are.

    Default: none: there are no groups.
    Example: groups_base = "ou=groups,dc=example,dc=com"
    """

    group_filter: Filter = "(objectClass=*)"
    """Which of the entries there are groups.

    Default: `(objectClass=*)`.
    Example: group_filter = "(objectClass=groupOfNames)"
    """

    group_member: Literal["member", "uniqueMember", "memberUid"] = "member"
    """How a group names who is in it: by a DN (`member`, `uniqueMember`), or by `memberUid`, as
    groups of POSIX do.

    Default: `member`.
    Example: group_member = "uniqueMember"
    """

    nested_groups: bool = False
    """Whoever is in a group is in the groups as well that this one is in. Not with `memberUid`.

    Default: `false`.
    Example: nested_groups = true
    """

    create_users: bool = False
    """Whoever comes and has no account gets one, on the page as with `docker login`. Without
    `allowed_groups` that is everybody whom `user_filter` finds.

    Default: `false`.
    Example: create_users = true
    """

    link_by_email: bool = False
    """Whoever comes for the first time, with an address that somebody here has, is that somebody
    from then on. The directory can make itself anybody by that; administrators are never found by
    it.

    Default: `false`.
    Example: link_by_email = true
    """

    allowed_groups: Names = []
    """Only people come in who are in one of these groups: each is a group's name (`cn`) or its
    whole DN. Whose account the directory made and who is in none any more is blocked.

    Default: none: everybody.
    Example: allowed_groups = ["engineering", "operations"]
    """

    admin_group: str = ""
    """People in this group administer the installation, as long as they are in it. Administrators
    that were made here stay what they are.

    Default: none: the directory makes nobody an administrator.
    Example: admin_group = "cn=berth-admins,ou=groups,dc=example,dc=com"
    """

    memberships: Memberships = []
    """What its groups give: the name or the DN of a group, `->`, the path of a group or project, a
    level (`guest`, `reporter`, `developer`, `maintainer`, `owner`). Applied at each sign-in and
    every hour, and taken away when somebody is no longer in the group; memberships that were given
    here are never touched. In the environment a comma parts the lines, so a DN stands in the file.

    Default: none.
    Example: memberships = ["engineering -> acme developer", "leads -> acme/app maintainer"]
    """

    timeout: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(seconds=30))] = (
        timedelta(seconds=5)
    )
    """For how long Berth waits for each of its answers, and for a connection. A directory that has
    not answered is not asked for some seconds; meanwhile everybody else signs in.

    Default: `5s`.
    Example: timeout = "3s"
    """

    @property
    def faults(self) -> list[str]:
        """What is wrong with the table as a whole, each as a sentence's end."""
        found = [f"no {key}" for key in ("servers", "users_base") if not getattr(self, key)]
        split = [urlsplit(server) for server in self.servers]
        if not self.start_tls and any(
            one.scheme == "ldap" and one.hostname not in LOOPBACK for one in split
        ):
            found.append("a server of ldap:// and no start_tls, by which passwords go in the clear")
        if self.start_tls and any(one.scheme == "ldaps" for one in split):
            found.append("start_tls and a server of ldaps://, which has TLS already")
        if bool(self.bind_dn) != bool(self.bind_password_file):
            found.append("one of bind_dn and bind_password_file, which need each other")
        if self.nested_groups and self.group_member == "memberUid":
            found.append("nested_groups, which groups of memberUid can't have")
        return found

    @property
    def given(self) -> list[Membership]:
        """`memberships`, read."""
        return read(self.memberships)

    @property
    def seconds(self) -> float:
        """`timeout`."""
        return self.timeout.total_seconds()

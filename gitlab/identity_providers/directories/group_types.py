"""Whose groups are whose: django-auth-ldap's types of groups, over searches that have an end.

Its own searches take an error for an empty answer, by which people would lose what groups give them
whenever a server is slow.
"""

from __future__ import annotations

from typing import Any, Protocol

from django_auth_ldap.config import (
    GroupOfNamesType,
    GroupOfUniqueNamesType,
    LDAPSearch,
    NestedGroupOfNamesType,
    NestedGroupOfUniqueNamesType,
    PosixGroupType,
)
from ldap import SCOPE_SUBTREE
from ldap.cidict import cidict

from gitlab.config.directory_tables import LDAP
from gitlab.identity_providers.directories.entries import Attributes, Entry
from gitlab.identity_providers.profiles import MOST_GROUPS

_TYPES = {
    ("member", False): GroupOfNamesType,
    ("member", True): NestedGroupOfNamesType,
    ("uniqueMember", False): GroupOfUniqueNamesType,
    ("uniqueMember", True): NestedGroupOfUniqueNamesType,
    ("memberUid", False): PosixGroupType,
}


class Searching(Protocol):
    """What is needed of a `connections.Session`."""

    table: LDAP

    def search(
        self, base: str, filter_text: str, attributes: list[str], *, most: int
    ) -> list[tuple[str, Attributes]]:
        """See `connections.Session.search`."""


class _Search(LDAPSearch):
    """A search by a `Session`, which stands in for the connection."""

    def execute(self, connection: Any, filterargs: Any = (), escape: bool = True) -> Any:
        """What is found. The filter is whole and escaped already. Raises what python-ldap does."""
        return connection.search(self.base_dn, self.filterstr, self.attrlist, most=MOST_GROUPS)


class _Person:
    """An entry as a type of groups wants it."""

    def __init__(self, session: Searching, entry: Entry) -> None:
        self.dn = entry.dn
        self.connection = session
        self.attrs = cidict(
            {
                name: [value.decode(errors="replace") for value in values]
                for name, values in entry.attributes.items()
            }
        )


def groups_of(session: Searching, entry: Entry) -> list[tuple[str, Attributes]]:
    """The groups of somebody: DNs with their ``cn``."""
    table = session.table
    search = _Search(table.groups_base, SCOPE_SUBTREE, table.group_filter, ["cn"])
    kind = _TYPES[table.group_member, table.nested_groups]()
    return list(kind.user_groups(_Person(session, entry), search))

"""A directory that is played: entries, passwords and groups in memory, and what it was asked."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

PEOPLE = "ou=people,dc=example,dc=com"
GROUPS = "ou=groups,dc=example,dc=com"
PASSWORD = "what-the-directory-has"


def _as_ldap_compares(text: str) -> str:
    """RFC 4518: letters of Unicode that look alike and blanks around don't count."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


class PlayedDirectory:
    """People by DN. `bound` is whose password was held against what was given."""

    settle: Callable[..., None]

    def __init__(self, base: str = PEOPLE) -> None:
        self.base = base
        self.people: dict[str, dict[str, list[bytes]]] = {}
        self.passwords: dict[str, str] = {}
        self.groups: dict[str, set[str]] = {}
        self.bound: list[str] = []
        self.opened = 0
        self.is_away = False

    def add(self, uid: str, *groups: str, **attributes: str) -> str:
        """Somebody with a password, in these groups; their DN."""
        dn = f"uid={uid},{self.base}"
        said = {
            "uid": uid,
            "mail": f"{uid}@example.com",
            "cn": uid.title(),
            "entryuuid": f"id-of-{uid}-in-{self.base}",
            **attributes,
        }
        self.people[dn] = {name: [value.encode()] for name, value in said.items() if value}
        self.passwords[dn] = PASSWORD
        for name in groups:
            self.groups.setdefault(name, set()).add(dn)
        return dn

    def leave(self, uid: str) -> None:
        """Somebody is gone."""
        del self.people[f"uid={uid},{self.base}"]

    def move(self, dn: str, *groups: str) -> None:
        """Let somebody be in these groups and in no others."""
        for members in self.groups.values():
            members.discard(dn)
        for name in groups:
            self.groups.setdefault(name, set()).add(dn)

    @contextlib.contextmanager
    def serving(self, table: Any) -> Iterator[PlayedSession]:
        """In the place of `connections.opened`."""
        from gitlab.identity_providers.directories.connections import NoAnswer

        self.opened += 1
        if self.is_away:
            raise NoAnswer("it is away")
        yield PlayedSession(table, self)


class PlayedSession:
    """What `connections.Session` has, over a `PlayedDirectory`."""

    def __init__(self, table: Any, directory: PlayedDirectory) -> None:
        self.table = table
        self._directory = directory

    def _entries(self) -> list[Any]:
        from gitlab.identity_providers.directories import entries

        people = self._directory.people
        return [entries.read(self.table, dn, found) for dn, found in people.items()]

    def by_login(self, login: str) -> Any:
        from gitlab.identity_providers.profiles import ProviderRefused

        asked = _as_ldap_compares(login)
        found = [one for one in self._entries() if asked in map(_as_ldap_compares, one.logins)]
        if len(found) > 1:
            raise ProviderRefused("more than one entry has that name")
        return found[0] if found and found[0].is_called(login) else None

    def by_subject(self, subject: str) -> Any:
        return next((one for one in self._entries() if one.subject == subject), None)

    def accepts(self, entry: Any, password: str) -> bool:
        self._directory.bound.append(entry.dn)
        # As servers do that take a bind without a password for an anonymous one.
        return password in ("", self._directory.passwords[entry.dn])

    def groups(self, entry: Any) -> frozenset[str]:
        from gitlab.identity_providers.directories import names

        found: set[str] = set()
        for name, members in self._directory.groups.items():
            if entry.dn in members:
                found |= names.group_keys(f"cn={name},{GROUPS}", [name])
        return frozenset(found)

    def anybody(self) -> Any:
        return next(iter(self._entries()), None)

    def has_groups(self) -> bool:
        return bool(self._directory.groups)

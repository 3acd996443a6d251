"""Somebody, as an entry of a directory says it. Without I/O."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitlab.config.directory_tables import LDAP
from gitlab.identity_providers.directories.names import group_key
from gitlab.identity_providers.profiles import LONGEST, Profile, ProviderRefused, Terms

Attributes = Mapping[str, Sequence[bytes]]
"""What a directory says of an entry, by names of attributes in lower case."""

_GUID = "objectguid"
_GUID_BYTES = 16


@dataclass(frozen=True)
class Entry:
    """Somebody in a directory. `logins` are what they may call themselves, in lower case."""

    dn: str
    subject: str
    logins: frozenset[str] = frozenset()
    emails: tuple[str, ...] = ()
    username: str = ""
    name: str = ""
    attributes: Attributes = field(default_factory=dict)

    def is_called(self, login: str) -> bool:
        """Whether that is what they are called, to the letter.

        A directory finds more than that (other letters of Unicode that look alike, blanks), and
        each spelling would have a count of failures of its own.
        """
        return login.strip().lower() in self.logins


def read(table: LDAP, dn: str, attributes: Attributes) -> Entry:
    """The entry. Raises `ProviderRefused` for one that can't be told from others."""
    return Entry(
        dn=dn,
        subject=_subject(table, attributes),
        logins=frozenset(
            text.strip().lower()
            for name in table.login_attributes
            for text in _texts(attributes, name)
        ),
        emails=tuple(text.lower() for text in _texts(attributes, table.email_attribute)),
        username=_first(attributes, table.username_attribute),
        name=_first(attributes, table.name_attribute),
        attributes=attributes,
    )


def wanted_attributes(table: LDAP) -> list[str]:
    """What a directory is asked for of an entry: no more than is read."""
    wanted = [
        table.id_attribute,
        *table.login_attributes,
        table.username_attribute,
        table.email_attribute,
        table.name_attribute,
    ]
    # A group of POSIX knows people by these.
    posix = ["uid", "gidNumber"] if table.group_member == "memberUid" else []
    return list(dict.fromkeys([*wanted, *posix]))


def _subject(table: LDAP, attributes: Attributes) -> str:
    values = attributes.get(table.id_attribute.lower(), ())
    if len(values) != 1:
        raise ProviderRefused(f"an entry has {len(values)} values of {table.id_attribute}, not one")
    if table.id_attribute.lower() == _GUID and len(values[0]) == _GUID_BYTES:
        return str(uuid.UUID(bytes_le=bytes(values[0])))
    text = _decoded(values[0])
    if not text or len(text) > LONGEST:
        raise ProviderRefused(f"{table.id_attribute} of an entry can't be read")
    return text


def subject_value(table: LDAP, subject: str) -> str | bytes:
    """What a directory has in `id_attribute` for a subject."""
    if table.id_attribute.lower() != _GUID:
        return subject
    try:
        return uuid.UUID(subject).bytes_le
    except ValueError:
        return subject


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


def _texts(attributes: Attributes, name: str) -> list[str]:
    texts = [_decoded(value).strip() for value in attributes.get(name.lower(), ())]
    return [text for text in texts if text and len(text) <= LONGEST]


def _first(attributes: Attributes, name: str) -> str:
    return next(iter(_texts(attributes, name)), "")


def issuer(table: LDAP) -> str:
    """What the directory is, whichever server answers: the domain of its DNs, else the base."""
    base = group_key(table.users_base)
    domain = [part for part in base.split(",") if part.startswith("dc=")]
    return f"ldap:{','.join(domain) or base}"[:LONGEST]


def profile(
    name: str, table: LDAP, entry: Entry, groups: frozenset[str], *, login: str = ""
) -> Profile:
    """Who that is, in the words of all providers. Of several addresses the one that was typed."""
    emails = [one for one in entry.emails if one == login.strip().lower()] or [*entry.emails, ""]
    return Profile(
        provider=name,
        issuer=issuer(table),
        subject=entry.subject,
        email=emails[0],
        username=entry.username,
        name=entry.name,
        groups=groups,
    )


def terms(table: LDAP) -> Terms:
    """Who comes in by it, and what that gives them; groups as `names.group_key` has them."""
    return Terms(
        create_users=table.create_users,
        link_by_email=table.link_by_email,
        allowed_groups=frozenset(map(group_key, table.allowed_groups)),
        admin_group=group_key(table.admin_group),
        memberships=tuple(one._replace(group=group_key(one.group)) for one in table.given),
    )

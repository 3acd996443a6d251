"""What may be done to what: the scopes that are asked and the access that is granted.

A scope is what a client asks for, ``repository:group/project:pull,push``. An access is an entry of
the token's ``access`` claim. Both have the same three parts, so one class stands for both.

Source: Docker Registry v2 authentication, "Token Scope Documentation"; the grammar of names is the
OCI distribution specification 1.1, "Pulling manifests".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_NAME_LENGTH = 255
"""A repository's name in characters. Clients and proxies break on longer ones."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME_PATTERN = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_NAME = re.compile(NAME_PATTERN, re.ASCII)
_TYPE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?", re.ASCII)
_ACTION = re.compile(r"[a-z]+|\*", re.ASCII)


class InvalidScope(ValueError):
    """The text is not a scope. The message says why, without quoting more than its start."""


def is_repository_name(name: str) -> bool:
    """Whether `name` follows the grammar of the OCI specification and is at most 255 long."""
    return len(name) <= MAX_NAME_LENGTH and _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Access:
    """A type, a name in it, and the actions on it.

    `actions` keeps the order in which it was given and has no doubles. `meta` is what GitLab adds
    for the registry to know (``project_path``); it takes no part in comparisons.
    """

    type: str
    name: str
    actions: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)

    @classmethod
    def repository(cls, name: str, *actions: str) -> Access:
        """The access to one repository."""
        return cls("repository", name, actions)

    @classmethod
    def parse(cls, scope: str) -> Access:
        """The access that `scope` asks for.

        A class in parentheses after the type is ignored; a name may hold a colon (a host with a
        port), so the type is what stands before the first one and the actions are what follows
        the last. Names and actions are not judged here: what nobody grants is left out later.

        Raises `InvalidScope` where one of the three parts is missing or the type is no word.
        """
        head, separator, rest = scope.partition(":")
        name, second, tail = rest.rpartition(":")
        if not separator or not second or not name:
            raise InvalidScope(f"a scope has the form type:name:actions, not {scope[:80]!r}")
        matched = _TYPE.fullmatch(head)
        if matched is None:
            raise InvalidScope(f"unknown form of resource type {head[:80]!r}")
        actions = tuple(dict.fromkeys(action for action in tail.split(",") if action))
        return cls(matched[1], name, actions)

    @classmethod
    def from_claim(cls, entry: object) -> Access:
        """The access of one entry of a token's ``access`` claim.

        Raises `InvalidScope` where the entry is not an object of a type, a name and a list of
        actions: a text ``"pullpush"`` in place of a list contains ``"pull"``, so types matter.
        """
        if not isinstance(entry, dict):
            raise InvalidScope("an access entry is an object")
        type_, name, actions = entry.get("type"), entry.get("name"), entry.get("actions")
        meta = entry.get("meta") or {}
        if not isinstance(type_, str) or not isinstance(name, str) or not isinstance(meta, dict):
            raise InvalidScope("an access entry has a type and a name")
        if not isinstance(actions, list) or not all(isinstance(a, str) for a in actions):
            raise InvalidScope("an access entry has a list of actions")
        return cls(type_, name, tuple(dict.fromkeys(actions)), meta)

    def as_claim(self) -> dict[str, Any]:
        """The entry of the ``access`` claim that grants this."""
        entry: dict[str, Any] = {
            "type": self.type,
            "name": self.name,
            "actions": list(self.actions),
        }
        if self.meta:
            entry["meta"] = dict(self.meta)
        return entry

    def limited_to(self, allowed: Iterable[str]) -> Access | None:
        """The part of this whose actions are in `allowed`, or None where nothing is left."""
        known = set(allowed)
        actions = tuple(action for action in self.actions if action in known)
        return Access(self.type, self.name, actions, self.meta) if actions else None

    def covers(self, needed: Access, *, wildcards: bool = False) -> bool:
        """Whether a token that grants this may do all of `needed`.

        The action ``*`` stands for all of them. Where `wildcards` is true, as in tokens that GitLab
        mints for itself, a name that ends in ``/*`` covers any depth below it and never the name
        itself: ``acme/*`` covers ``acme/a/b``, not ``acme`` and not ``acme-evil/x``.
        """
        if self.type != needed.type:
            return False
        if self.name != needed.name:
            below = wildcards and self.name.endswith("/*") and len(self.name) > 2
            if not below or not needed.name.startswith(self.name[:-1]):
                return False
        return "*" in self.actions or set(needed.actions) <= set(self.actions)

    @property
    def is_well_formed(self) -> bool:
        """Whether name and actions are of a form that anybody could ever be granted."""
        if not self.actions or not all(_ACTION.fullmatch(action) for action in self.actions):
            return False
        return self.type != "repository" or is_repository_name(self.name)

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


def parse_scopes(values: Sequence[str]) -> list[Access]:
    """The accesses that the ``scope`` parameters of one request ask for, one a name.

    The parameter may be repeated, and one may hold several scopes with blanks between them
    (RFC 6749, section 3.3). Scopes for the same name become one with the actions of both.

    Raises `InvalidScope`, as `Access.parse` does.
    """
    merged: dict[tuple[str, str], Access] = {}
    for scope in (part for value in values for part in value.split(" ") if part):
        access = Access.parse(scope)
        key = (access.type, access.name)
        before = merged[key].actions if key in merged else ()
        merged[key] = Access(*key, tuple(dict.fromkeys((*before, *access.actions))))
    return list(merged.values())

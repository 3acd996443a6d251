"""What a token protects: tags that its bearer may not push or delete, and those that never move.

GitLab decides by role and writes into the token's ``meta`` which patterns deny what; here tags are
held against them, in the transaction that would change one. A token without rules costs nothing,
and whoever pulls is asked nothing. Patterns are RE2's, see `tokens.tag_patterns`.

    tag_deny_access_patterns   {"push": ["^latest$"], "delete": []}
    tag_deny_access_levels     {"push": ["maintainer"]}      ours: who may, pattern by pattern
    tag_immutable_patterns     ["^v"]

Source: https://gitlab.com/gitlab-org/container-registry/-/blob/master/docs/spec/gitlab/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

from registry.errors import Code, RegistryError
from tokens.tag_patterns import InvalidPattern, matches

_DOING = {"push": "pushing", "delete": "deleting"}
_WHO = {"maintainer": "the role Maintainer", "owner": "the role Owner", "admin": "an administrator"}


class Denial(NamedTuple):
    """A pattern of tags, and who may all the same, "" where the token does not say."""

    pattern: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class TagRules:
    """The rules of a token for one repository. Each refusal is DENIED and names its rule."""

    push: tuple[Denial, ...] = ()
    delete: tuple[Denial, ...] = ()
    immutable: tuple[str, ...] = ()

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> TagRules:
        """The rules in `meta`. Raises DENIED where they can't be read: they were meant to hold."""
        denied = meta.get("tag_deny_access_patterns")
        immutable = meta.get("tag_immutable_patterns")
        if not denied and not immutable:
            return NO_RULES
        denied = _object(denied)
        levels = _object(meta.get("tag_deny_access_levels"))
        return cls(
            _denials(denied.get("push"), levels.get("push")),
            _denials(denied.get("delete"), levels.get("delete")),
            tuple(_texts(immutable)),
        )

    def refuse_push(self, tags: Iterable[str]) -> None:
        """Raises DENIED for the first of `tags` that may not be pushed."""
        if self.push:
            for tag in tags:
                _refuse_denied("push", self.push, tag)

    def refuse_move(self, tag: str) -> None:
        """Raises DENIED where a tag that points at something else now is to stay there."""
        for pattern in self.immutable:
            if _is_found(pattern, tag):
                raise _denied(f'tag {tag} is immutable by rule "{pattern}"', tag, pattern)

    @property
    def limits_deletion(self) -> bool:
        """Whether there are tags at all that may not be deleted."""
        return bool(self.delete or self.immutable)

    def refuse_deletion(self, tags: Iterable[str]) -> None:
        """Raises DENIED for the first of `tags`, which are there, that may not be deleted."""
        if self.limits_deletion:
            for tag in tags:
                _refuse_denied("delete", self.delete, tag)
                self.refuse_move(tag)

    def keeps(self, tag: str) -> bool:
        """Whether a tag that is there may not be deleted. Raises DENIED as `read`."""
        try:
            self.refuse_deletion([tag])
        except RegistryError as error:
            if not error.details:
                raise
            return True
        return False


NO_RULES = TagRules()


def _refuse_denied(action: str, denials: Iterable[Denial], tag: str) -> None:
    for pattern, who in denials:
        if _is_found(pattern, tag):
            takes = f": {_DOING[action]} takes {who}" if who else f": {_DOING[action]} is denied"
            raise _denied(f'tag {tag} is protected by rule "{pattern}"{takes}', tag, pattern)


def _is_found(pattern: str, tag: str) -> bool:
    try:
        return matches(pattern, tag)
    except InvalidPattern as error:
        raise _unreadable() from error


def _denied(message: str, tag: str, pattern: str) -> RegistryError:
    return RegistryError(Code.DENIED, message, tag=tag, rule=pattern)


def _unreadable() -> RegistryError:
    return RegistryError(Code.DENIED, "the token's rules about tags can't be read")


def _object(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _unreadable()
    return value


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _unreadable()
    return value


def _denials(patterns: object, levels: object) -> tuple[Denial, ...]:
    texts, words = _texts(patterns), _texts(levels)[: len(_texts(patterns))]
    return tuple(
        Denial(text, _WHO.get(word, "")) for text, word in zip_longest(texts, words, fillvalue="")
    )

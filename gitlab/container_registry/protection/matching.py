"""Which rules hold for an image or a tag, and what they take from whom: pure, no rows.

All rules that match apply, so the strictest decides. `rank` is the level of whoever acts: that of
their role, `Level.ADMIN` for an administrator, 0 for nobody (see `policies.UserAccess.rank`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from gitlab.container_registry.protection.models import Level
from tokens import tag_patterns

Action: TypeAlias = str
"""``push`` or ``delete``."""

ACTIONS: tuple[Action, Action] = ("push", "delete")
_DOING = {"push": "pushing", "delete": "deleting"}


class Rule(NamedTuple):
    """A rule of either kind. `pattern` is whole, `push` and `delete` are the levels that it asks
    for; `of` is the full path of the project or group that it is a rule of.
    """

    pattern: str
    push: int | None
    delete: int | None
    of: str = ""

    def level_for(self, action: Action) -> int | None:
        """The level that an action takes; None where the rule says nothing of it."""
        return self.push if action == "push" else self.delete

    def denies(self, action: Action, rank: int) -> bool:
        """Whether somebody of this rank may not do it where the rule matches."""
        level = self.level_for(action)
        return level is not None and rank < level

    @property
    def is_immutable(self) -> bool:
        """Of a tag rule: whether its tags neither move nor go."""
        return self.push is None and self.delete is None


def who(level: int) -> str:
    """Who has a level, for the end of a sentence: ``the role Owner``, ``an administrator``."""
    if level == Level.ADMIN:
        return "an administrator"
    return f"the role {Level(level).name.title()}"


def matches_path(pattern: str, path: str) -> bool:
    """Whether an image is called so; ``*`` stands for any characters, in any case of letters."""
    first, *rest = pattern.lower().split("*")
    path = path.lower()
    if not rest:
        return path == first
    *middle, last = rest
    if not path.startswith(first) or not path.endswith(last):
        return False
    start, end = len(first), len(path) - len(last)
    if start > end:
        return False
    for part in middle:
        found = path.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True


class RepositoryProtections:
    """The repository rules of a project and of the groups above it."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def of(self, path: str) -> list[Rule]:
        """The rules that match an image."""
        return [rule for rule in self.rules if matches_path(rule.pattern, path)]

    def denied(self, path: str, action: Action, rank: int) -> str | None:
        """Why somebody may not do `action` with an image, in a sentence; None where they may."""
        found = [rule for rule in self.of(path) if rule.denies(action, rank)]
        if not found:
            return None
        rule = max(found, key=lambda each: each.level_for(action) or 0)
        return (
            f'{path} is protected by rule "{rule.pattern}":'
            f" {_DOING[action]} takes {who(rule.level_for(action) or 0)}"
        )


class TagProtections:
    """The tag rules of a project and of the groups above it, compiled once for many tags."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = list(rules)
        self.limits = [rule for rule in rules if not rule.is_immutable]
        self.immutable = [rule for rule in rules if rule.is_immutable]

    def __bool__(self) -> bool:
        return bool(self.limits or self.immutable)

    @property
    def rules(self) -> list[Rule]:
        """All of them."""
        return [*self.limits, *self.immutable]

    def of(self, tag: str) -> list[Rule]:
        """The rules that match a tag."""
        return [rule for rule in self.rules if tag_patterns.matches(rule.pattern, tag)]

    def what_protects(
        self, tag: str, by_level: int | None = None, *, action: Action = "delete"
    ) -> str | None:
        """What keeps a tag from being deleted, in a sentence; None where nothing does.

        `by_level` is the rank of whoever would do it; None asks whether anything protects the tag
        from anybody, which is the question of a job that is nobody. A tag of an immutable rule is
        protected from all. With ``push`` as the action it is what keeps somebody from pushing it:
        an immutable one can be pushed as long as it is not there, see `what_holds`.
        """
        rank = 0 if by_level is None else by_level
        return self._denied(tag, action, rank) or (
            self.what_holds(tag) if action == "delete" else None
        )

    def what_holds(self, tag: str) -> str | None:
        """What keeps a tag that is there from moving, whoever would move it."""
        for rule in self.immutable:
            if tag_patterns.matches(rule.pattern, tag):
                return f'tag {tag} is immutable by rule "{rule.pattern}"'
        return None

    def _denied(self, tag: str, action: Action, rank: int) -> str | None:
        found = [
            rule
            for rule in self.limits
            if rule.denies(action, rank) and tag_patterns.matches(rule.pattern, tag)
        ]
        if not found:
            return None
        rule = max(found, key=lambda each: each.level_for(action) or 0)
        return (
            f'tag {tag} is protected by rule "{rule.pattern}":'
            f" {_DOING[action]} takes {who(rule.level_for(action) or 0)}"
        )

    def as_meta(self, actions: Iterable[str], rank: int) -> dict[str, Any]:
        """What a token says of them to the registry, as GitLab writes it.

        `actions` are those that the token grants; ``*`` is all. What has no value is left out:
        ``tag_deny_access_patterns`` has a list for each action as soon as there is a rule, an empty
        one where nothing is denied. ``tag_deny_access_levels`` is ours: the level to each pattern
        of a list that is not empty, so that the registry can say who may.
        """
        granted = set(ACTIONS) if "*" in (known := set(actions)) else known & set(ACTIONS)
        if not granted:
            return {}
        meta: dict[str, Any] = {}
        if self.limits:
            denied = {
                action: _strictest(self.limits, action, rank)
                for action in ACTIONS
                if action in granted
            }
            meta["tag_deny_access_patterns"] = {
                action: list(patterns) for action, patterns in denied.items()
            }
            levels = {
                action: [Level(level).name.lower() for level in patterns.values()]
                for action, patterns in denied.items()
                if patterns
            }
            if levels:
                meta["tag_deny_access_levels"] = levels
        if self.immutable:
            patterns = dict.fromkeys(rule.pattern for rule in self.immutable)
            meta["tag_immutable_patterns"] = list(patterns)
        return meta


def _strictest(rules: Sequence[Rule], action: Action, rank: int) -> dict[str, int]:
    """The patterns that an action is denied for, each with the highest level that it takes."""
    found: dict[str, int] = {}
    for rule in rules:
        level = rule.level_for(action)
        if level is not None and rule.denies(action, rank):
            found[rule.pattern] = max(level, found.get(rule.pattern, 0))
    return found

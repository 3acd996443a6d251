"""What a cleanup keeps and deletes: pure functions, of tags and rules to a verdict for each tag.

Each tag is judged by the first rule whose `name_regex_delete` matches its whole name; a tag that no
rule matches stays. By that rule it goes unless one of these keeps it, in this order, which is that
of GitLab (https://docs.gitlab.com/user/packages/container_registry/reduce_container_registry_storage/,
"How the cleanup policy works"): ``latest``; `name_regex_keep`; the newest `keep_n` of those left;
younger than `older_than`; the pulls; a protection. A tag is as old as its image says, else as its
push.

Tags by which cosign finds a signature, an attestation or an SBOM are never judged by themselves:
they go with the image that they belong to.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any, NamedTuple, Self

from gitlab.container_registry.client.responses import TagAge
from gitlab.container_registry.tag_criteria import MAX_PATTERN, duration, pattern, since_of
from gitlab.refusals import Invalid

MAX_RULES = 10
MAX_KEPT = 100_000
"""The most that `keep_n` may be."""

DAY = dt.timedelta(days=1)
_UNKNOWN = dt.datetime.min.replace(tzinfo=dt.UTC)
_LATEST = "latest"
_ALL = ".*"
"""Which needs no matcher."""

_COSIGN = re.compile(r"sha256-[0-9a-f]{64}\.(?:sig|att|sbom)", re.ASCII)
_AGES = ("older_than", "not_pulled_for")

Protects = Callable[[str], str | None]
"""What protects a tag of this name from deletion, as a sentence; None where nothing does."""


def unprotected(name: str) -> str | None:
    """None: nothing protects it."""
    return None


@dataclass(frozen=True)
class Rule:
    """Which tags go. `never_pulled`: only those that nothing has pulled since they were pushed.

    `untagged`: it is no rule for tags, but for images that no tag points at for `older_than`.
    """

    name_regex_delete: str = ""
    name_regex_keep: str = ""
    keep_n: int | None = None
    older_than: dt.timedelta | None = None
    not_pulled_for: dt.timedelta | None = None
    never_pulled: bool = False
    untagged: bool = False

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From an object of JSON; times are texts as ``90d``. Raises `Invalid` by field."""
        unknown = set(body) - {known.name for known in fields(cls)}
        if unknown:
            raise Invalid({"rules": f"A rule has no {', '.join(sorted(map(str, unknown)))}."})
        ages = {name: _age(body.get(name), name) for name in _AGES}
        rule = cls(
            name_regex_delete=_text(body, "name_regex_delete"),
            name_regex_keep=_text(body, "name_regex_keep"),
            keep_n=_count(body.get("keep_n")),
            never_pulled=body.get("never_pulled") is True,
            untagged=body.get("untagged") is True,
            **ages,
        )
        rule.check()
        return rule

    def check(self) -> None:
        """Raises `Invalid` by field, with the place in a pattern that RE2 can't read."""
        for name in ("name_regex_delete", "name_regex_keep"):
            pattern(getattr(self, name), name)
        others = (self.name_regex_delete, self.name_regex_keep, self.keep_n, self.not_pulled_for)
        if self.untagged and (any(others) or self.never_pulled):
            raise Invalid({"untagged": "A rule for images without a tag has an age and no more."})

    def as_json(self) -> dict[str, Any]:
        """What `read` takes, and people read."""
        ages = {name: age_text(getattr(self, name)) for name in _AGES}
        return {
            "name_regex_delete": self.name_regex_delete,
            "name_regex_keep": self.name_regex_keep,
            "keep_n": self.keep_n,
            "never_pulled": self.never_pulled,
            "untagged": self.untagged,
            **ages,
        }

    @property
    def says_something(self) -> bool:
        """Whether anything could go by it."""
        return self.untagged or bool(self.name_regex_delete)

    @property
    def asks_for_pulls(self) -> bool:
        """Whether it can only be applied where pulls are counted."""
        return self.never_pulled or self.not_pulled_for is not None


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid({name: "A text."})
    if value and len(value) > MAX_PATTERN:
        raise Invalid({name: f"At most {MAX_PATTERN} characters."})
    return value or ""


def _count(value: Any) -> int | None:
    if value is None or value == 0:
        return None
    if type(value) is not int or not 0 < value <= MAX_KEPT:
        raise Invalid({"keep_n": f"A number from 1 to {MAX_KEPT:,}, or nothing."})
    return value


def _age(value: Any, name: str) -> dt.timedelta | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Invalid({name: "A number and a unit, as in 12h, 7d, 1month."})
    return duration(value, name)


def age_text(age: dt.timedelta | None) -> str | None:
    """``7d``, or ``12h``, or ``90s``: what `duration` reads."""
    if age is None:
        return None
    seconds = int(age.total_seconds())
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    unit, length = next(each for each in units if seconds % each[1] == 0)
    return f"{seconds // length}{unit}"


def read_rules(rules: Any) -> list[Rule]:
    """The rules of a policy. Raises `Invalid` for ``rules`` or a field of one."""
    if not isinstance(rules, Sequence) or isinstance(rules, str) or len(rules) > MAX_RULES:
        raise Invalid({"rules": f"A list of at most {MAX_RULES} rules."})
    if not all(isinstance(each, Mapping) for each in rules):
        raise Invalid({"rules": "A rule is an object."})
    return [Rule.read(each) for each in rules]


class Verdict(NamedTuple):
    """What happens to a tag and why, in words. `rule` counts from 1; 0 where no rule says so."""

    name: str
    digest: str
    size_bytes: int
    goes: bool
    rule: int
    reason: str


@dataclass
class Judge:
    """Looks at the tags of one image, one after the other, then says what happens to each.

    `most` is how many tags may go at once: the oldest, the others stay for now.
    """

    rules: Sequence[Rule]
    now: dt.datetime
    protects: Protects = unprotected
    most: int = 10_000
    _kept: list[Verdict] = field(default_factory=list)
    _untagged: list[tuple[dt.datetime, Verdict]] = field(default_factory=list)
    _pulls_counted_since: dt.datetime | None = None

    def __post_init__(self) -> None:
        self._patterns = [
            (
                None
                if rule.name_regex_delete == _ALL
                else pattern(rule.name_regex_delete, "name_regex_delete"),
                pattern(rule.name_regex_keep, "name_regex_keep") if rule.name_regex_keep else None,
            )
            for rule in self.rules
        ]
        self._candidates: list[list[TagAge]] = [[] for _ in self.rules]

    def see(self, tags: Iterable[TagAge], counted_since: dt.datetime | None = None) -> None:
        """Take in some tags of a registry that counts pulls since a moment, or does not."""
        if counted_since is not None:
            self._pulls_counted_since = counted_since
        for tag in tags:
            reason, number = self._by_name(tag.name)
            if reason:
                self._keep(tag.name, number, reason)
            else:
                self._candidates[number - 1].append(tag)

    def _by_name(self, name: str) -> tuple[str, int]:
        """Why the name alone keeps it, "" where it does not; and the number of its rule."""
        if name == _LATEST:
            return "kept: latest always stays", 0
        if name.startswith("sha256-") and _COSIGN.fullmatch(name):
            return "kept: goes with the image that it signs or describes", 0
        for number, (deleted, kept) in enumerate(self._patterns, 1):
            if self.rules[number - 1].untagged:
                continue
            if deleted is None or deleted.fullmatch(name):
                if kept is not None and kept.fullmatch(name):
                    return f"kept: matches {self.rules[number - 1].name_regex_keep}", number
                return "", number
        return "kept: no rule matches it", 0

    def _keep(self, name: str, number: int, reason: str) -> None:
        # Of one that stays nobody asks where it points; a reason is shared by thousands.
        self._kept.append(Verdict(name, "", 0, False, number, sys.intern(reason)))

    @property
    def asks_for_untagged(self) -> bool:
        """Whether a rule is about images without a tag."""
        return any(rule.untagged for rule in self.rules)

    def see_untagged(self, manifests: Iterable[TagAge]) -> None:
        """Take in manifests that nothing holds, "published" when their last tag has left them.

        By the first rule that is about these.
        """
        number, rule = next((n, rule) for n, rule in enumerate(self.rules, 1) if rule.untagged)
        for manifest in manifests:
            since = manifest.published_at or self.now
            age = self.now - since
            if rule.older_than is not None and age <= rule.older_than:
                self._keep(manifest.name, number, f"kept: without a tag for {_ago(age)} only")
                continue
            why = sys.intern(f"deleted: without a tag for {_ago(age)}")
            verdict = Verdict(
                manifest.name, manifest.digest, manifest.size_bytes, True, number, why
            )
            self._untagged.append((since, verdict))

    @property
    def counts_pulls(self) -> bool:
        """Whether the registry has said of any tag since when it counts pulls."""
        return self._pulls_counted_since is not None

    def verdicts(self) -> tuple[list[Verdict], list[Verdict]]:
        """What goes, the oldest first, and what stays, by name. Ask once."""
        going = list(
            chain.from_iterable(
                self._judged(number, rule) for number, rule in enumerate(self.rules, 1)
            )
        )
        going += self._untagged
        going.sort(key=lambda each: (each[0], each[1].name))
        for _, verdict in going[self.most :]:
            reason = f"kept for now: a run deletes at most {self.most:,} tags, the oldest first"
            self._keep(verdict.name, verdict.rule, reason)
        self._kept.sort(key=lambda each: each.name)
        return [verdict for _, verdict in going[: self.most]], self._kept

    def _judged(self, number: int, rule: Rule) -> Iterator[tuple[dt.datetime, Verdict]]:
        """Those that go by a rule, each with its age; the others are noted as kept."""
        # By name among those of one age, so that a second look keeps the same.
        left = sorted(
            self._candidates[number - 1],
            key=lambda each: (since_of(each) or _UNKNOWN, each.name),
        )
        self._candidates[number - 1] = []
        newest = rule.keep_n or 0
        wants_age = bool(newest) or rule.older_than is not None
        kept_as_newest = f"kept: newest {newest:,} of {rule.name_regex_delete}"
        while left:
            # What has been judged is given up: a hundred thousand tags are not there twice.
            tag = left.pop()
            since, name = since_of(tag) or _UNKNOWN, tag.name
            newest -= 1
            if wants_age and since is _UNKNOWN:
                reason = "kept: its age is not known"
            elif newest >= 0:
                reason = kept_as_newest
            else:
                reason = (
                    self._kept_by_age(rule, since)
                    or (rule.asks_for_pulls and self._kept_by_pulls(rule, tag))
                    or self._kept_by_protection(name)
                )
            if reason:
                self._keep(name, number, reason)
            else:
                why = sys.intern(self._why(rule, tag))
                yield since, Verdict(name, tag.digest, tag.size_bytes, True, number, why)

    def _kept_by_age(self, rule: Rule, since: dt.datetime) -> str:
        if rule.older_than is not None and since >= self.now - rule.older_than:
            age = _ago(self.now - since)
            return f"kept: {age} old, younger than {_ago(rule.older_than)}"
        return ""

    def _kept_by_pulls(self, rule: Rule, tag: TagAge) -> str:
        if self._pulls_counted_since is None:
            return "kept: this registry does not count pulls"
        counted = self._pulls_counted_since
        if rule.never_pulled:
            if tag.last_pulled_at is not None:
                return f"kept: pulled {_ago(self.now - tag.last_pulled_at)} ago"
            if tag.published_at is None or tag.published_at < counted:
                return "kept: pushed before pulls were counted"
        if rule.not_pulled_for is None:
            return ""
        return self._kept_by_last_use(tag, rule.not_pulled_for, self.now - counted)

    def _kept_by_last_use(
        self, tag: TagAge, wanted: dt.timedelta, counted_for: dt.timedelta
    ) -> str:
        if counted_for < wanted:
            return f"kept: pulls are counted for {_ago(counted_for)} only"
        last = self._last_used(tag)
        if self.now - last >= wanted:
            return ""
        how = "pulled" if tag.last_pulled_at == last else "pushed"
        return f"kept: {how} {_ago(self.now - last)} ago"

    def _last_used(self, tag: TagAge) -> dt.datetime:
        """The last pull or push, whichever came later; at the earliest when counting began."""
        counted = self._pulls_counted_since
        assert counted is not None
        return max(tag.last_pulled_at or counted, tag.published_at or counted, counted)

    def _kept_by_protection(self, name: str) -> str:
        why = self.protects(name)
        return f"kept: {why}" if why else ""

    def _why(self, rule: Rule, tag: TagAge) -> str:
        if rule.never_pulled and tag.published_at is not None:
            return f"deleted: never pulled since its push {_ago(self.now - tag.published_at)} ago"
        if rule.not_pulled_for is not None:
            return f"deleted: not pulled for {_ago(self.now - self._last_used(tag))}"
        since = since_of(tag)
        if rule.older_than is not None and since is not None:
            return f"deleted: {_ago(self.now - since)} old"
        if rule.keep_n:
            return f"deleted: older than the newest {rule.keep_n:,} of {rule.name_regex_delete}"
        return f"deleted: matches {rule.name_regex_delete}"


def _ago(age: dt.timedelta) -> str:
    """A length of time in words, of which a hundred thousand tags have a few hundred."""
    for unit, length in (("day", DAY), ("hour", DAY / 24), ("minute", DAY / 1440)):
        count = age // length
        if count >= 1:
            return f"{count:,} {unit}" + ("" if count == 1 else "s")
    return "less than a minute"


def in_words(rule: Rule) -> str:
    """A rule as a sentence, for people."""
    if rule.untagged:
        age = f" for {_ago(rule.older_than)}" if rule.older_than is not None else ""
        return f"Images without a tag{age} go."
    kept = []
    if rule.name_regex_keep:
        kept.append(f"those that match {rule.name_regex_keep}")
    if rule.keep_n:
        kept.append(f"the newest {rule.keep_n:,}")
    if rule.older_than is not None:
        kept.append(f"what is younger than {_ago(rule.older_than)}")
    if rule.not_pulled_for is not None:
        kept.append(f"what was pulled within {_ago(rule.not_pulled_for)}")
    if rule.never_pulled:
        kept.append("what was ever pulled")
    which = "All tags" if rule.name_regex_delete == _ALL else f"Tags like {rule.name_regex_delete}"
    return f"{which} go, but not {_joined(kept)}." if kept else f"{which} go."


def _joined(parts: Sequence[str]) -> str:
    """``a, b and c``"""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last

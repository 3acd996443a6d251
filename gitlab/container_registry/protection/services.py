"""Protection rules are made, changed, deleted, listed here. `by` is who does it.

Whoever administers a project makes its rules (`Ability.ADMIN_PROJECT`), a group's owners those of
the group. What has to hold against a project's own maintainers stands at the group above. A change
ends the registry's tokens for what is below, so that it holds at the next request.

Refusals: `NotFound`, `Forbidden`, `Invalid` by argument. Source:
https://docs.gitlab.com/api/container_repository_protection_rules/ and
https://docs.gitlab.com/user/packages/container_registry/protected_container_tags/.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import transaction
from django.db.models import QuerySet

from gitlab.audit.services import record
from gitlab.container_registry.protection import reading
from gitlab.container_registry.protection.models import Level, RepositoryRule, TagRule
from gitlab.container_registry.protection.reading import repository_protections, tag_protections
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import MAX_PATH_LENGTH, Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.services import hold_namespace, hold_project
from gitlab.principals import Anybody, Person
from gitlab.refusals import Invalid, NotFound
from gitlab.revocations import services as revocations
from tokens import tag_patterns

__all__ = ["repository_protections", "tag_protections"]

MAX_REPOSITORY_RULES = 100
MAX_TAG_RULES = 20
"""Of one project or group. GitLab has five tag rules a project; a token carries them, so that what
counts besides is how long they are: see `reading.MAX_META`."""

LEVELS = {level.name.lower(): level for level in Level}
"""GitLab's words for them."""

Rule = TypeVar("Rule", RepositoryRule, TagRule)
_KIND = {RepositoryRule: "repository_protection_rule", TagRule: "tag_protection_rule"}
_LONGEST = {RepositoryRule: MAX_PATH_LENGTH, TagRule: tag_patterns.MAX_LENGTH}


def require(by: Anybody, owner: Routable) -> None:
    """Raises `NotFound`, `Forbidden` where somebody may not see and change an owner's rules."""
    if isinstance(owner, Project):
        require_in_project(by, owner, Ability.ADMIN_PROJECT)
        return
    require_in_namespace(by, owner, Ability.ADMIN_GROUP)
    if not owner.is_group:
        raise NotFound("A person's own namespace has no rules.")


def rules_of(by: Anybody, owner: Routable, kind: type[Rule]) -> QuerySet[Rule]:
    """The rules of a project or group itself, in the order in which they were made."""
    require(by, owner)
    where = {"project" if isinstance(owner, Project) else "namespace": owner}
    return kind.objects.filter(**where).select_related("project", "namespace").order_by("pk")


def inherited_by(by: Anybody, owner: Routable, kind: type[Rule]) -> QuerySet[Rule]:
    """The rules of the groups above, which hold here too."""
    require(by, owner)
    found = reading.holding(kind, owner)
    if isinstance(owner, Project):
        return found.filter(project=None)
    return found.exclude(namespace=owner)


def get_for(by: Anybody, owner: Routable, kind: type[Rule], pk: int) -> Rule:
    """A rule of a project or group itself. Raises `NotFound`."""
    found = rules_of(by, owner, kind).filter(pk=pk).first()
    if found is None:
        raise NotFound("no such rule")
    return found


def create_repository_rule(
    by: Person,
    owner: Routable,
    *,
    repository_path_pattern: str,
    minimum_access_level_for_push: int | None = None,
    minimum_access_level_for_delete: int | None = None,
) -> RepositoryRule:
    """Let nobody below a level push or delete the images whose path matches.

    The pattern begins with the owner's full path; ``*`` stands for any characters.
    """
    return _create(
        by,
        owner,
        RepositoryRule,
        repository_path_pattern,
        minimum_access_level_for_push,
        minimum_access_level_for_delete,
    )


def create_tag_rule(
    by: Person,
    owner: Routable,
    *,
    tag_name_pattern: str,
    minimum_access_level_for_push: int | None = None,
    minimum_access_level_for_delete: int | None = None,
) -> TagRule:
    """Let nobody below a level push or delete the tags that match; without levels, nobody at all
    moves or deletes them once they are there.
    """
    return _create(
        by,
        owner,
        TagRule,
        tag_name_pattern,
        minimum_access_level_for_push,
        minimum_access_level_for_delete,
    )


@transaction.atomic
def _create(
    by: Person,
    owner: Routable,
    kind: type[Rule],
    pattern: str,
    push: int | None,
    delete: int | None,
) -> Rule:
    owner = _hold(by, owner)
    limit = MAX_REPOSITORY_RULES if kind is RepositoryRule else MAX_TAG_RULES
    if rules_of(by, owner, kind).count() >= limit:
        raise Invalid({"__all__": f"At most {limit} rules of this kind: delete one first."})
    rule = kind(
        project=owner if isinstance(owner, Project) else None,
        namespace=None if isinstance(owner, Project) else owner,
        minimum_access_level_for_push=push,
        minimum_access_level_for_delete=delete,
    )
    _write(rule, owner, pattern)
    _note("create", by, rule)
    return rule


@transaction.atomic
def update(by: Person, rule: Rule, **changes: Any) -> Rule:
    """Change a rule: the arguments of `create_repository_rule` or `create_tag_rule`."""
    owner = _hold(by, rule.owner)
    held = get_for(by, owner, type(rule), rule.pk)
    before = reading.as_rule(held)
    pattern = changes.pop(_pattern_of(type(rule)), None)
    for column, level in changes.items():
        setattr(held, column, level)
    _write(held, owner, str(held) if pattern is None else pattern)
    if reading.as_rule(held) != before:
        _note("update", by, held)
    return held


@transaction.atomic
def delete(by: Person, rule: RepositoryRule | TagRule) -> None:
    """Take a rule away. Twice is the same as once."""
    owner = _hold(by, rule.owner)
    where = {"project" if isinstance(owner, Project) else "namespace": owner}
    if type(rule).objects.filter(pk=rule.pk, **where).delete()[0]:
        _note("delete", by, rule)


def _hold(by: Person, owner: Routable) -> Routable:
    """The owner, held until the transaction ends: of two who make rules the second sees both."""
    held: Routable = hold_project(owner) if isinstance(owner, Project) else hold_namespace(owner)
    require(by, held)
    return held


def _pattern_of(kind: type[RepositoryRule] | type[TagRule]) -> str:
    return "repository_path_pattern" if kind is RepositoryRule else "tag_name_pattern"


def _write(rule: RepositoryRule | TagRule, owner: Routable, pattern: str) -> None:
    pattern = pattern.strip()
    argument = _pattern_of(type(rule))
    if not pattern:
        raise Invalid({argument: "Write a pattern."})
    longest = _LONGEST[type(rule)]
    if len(pattern) > longest:
        raise Invalid({argument: f"At most {longest} characters."})
    if isinstance(rule, RepositoryRule):
        _check_levels(rule)
        rule.below = _below(owner, pattern)
        same = RepositoryRule.objects.filter(below=rule.below)
    else:
        rule.tag_name_pattern = _check_tag_pattern(pattern)
        same = TagRule.objects.filter(tag_name_pattern=pattern)  # type: ignore[assignment]
    where = {"project" if isinstance(owner, Project) else "namespace": owner}
    if same.filter(**where).exclude(pk=rule.pk).exists():
        raise Invalid({argument: "There is a rule with this pattern already."}, code="taken")
    rule.save()
    if isinstance(rule, TagRule) and reading.is_too_long(tag_protections(owner)):
        raise Invalid(
            {
                argument: "All tag rules that hold here are too long together for a registry token:"
                " write fewer or shorter patterns."
            }
        )


def _check_levels(rule: RepositoryRule) -> None:
    if rule.minimum_access_level_for_push is None and rule.minimum_access_level_for_delete is None:
        raise Invalid({"__all__": "Say who may push, or who may delete."})


def _below(owner: Routable, pattern: str) -> str:
    full_path = owner.full_path
    below = pattern[len(full_path) :]
    if not pattern.lower().startswith(full_path) or below[:1] not in ("", "/", "*"):
        raise Invalid({"repository_path_pattern": f"It should start with {full_path}."})
    return below


def _check_tag_pattern(pattern: str) -> str:
    try:
        tag_patterns.compiled(pattern)
    except tag_patterns.InvalidPattern as error:
        text = str(error)
        raise Invalid({"tag_name_pattern": f"{text[:1].upper()}{text[1:]}."}) from error
    return pattern


def _note(verb: str, by: Person, rule: RepositoryRule | TagRule) -> None:
    push, delete = rule.minimum_access_level_for_push, rule.minimum_access_level_for_delete
    record(
        f"{_KIND[type(rule)]}.{verb}",
        by=by,
        target=rule.owner,
        pattern=str(rule),
        push=Level(push).name.lower() if push else None,
        delete=Level(delete).name.lower() if delete else None,
    )
    # Looser too: whoever was refused shall not wait for ten minutes.
    revocations.end_tokens(path=rule.owner.full_path)

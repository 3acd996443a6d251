"""The rules about cleanup policies: whose holds for a project, who changes it, when it runs.

A project has the policy of its own, else that of the nearest group above that has one, else that of
the installation. `by` is who does it. Refusals: `NotFound`, `Forbidden`, `Invalid` (by argument).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.container_registry.cleanup.models import Cadence, CleanupPolicy, CleanupRun
from gitlab.container_registry.cleanup.policy import Rule, age_text, read_rules
from gitlab.container_registry.tag_criteria import duration
from gitlab.jobs.leases import UNOWNED
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import Namespace, Project
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody, Person
from gitlab.refusals import Forbidden, Invalid

Owner: TypeAlias = Project | Namespace | None
"""Whose a policy is; None stands for the installation."""

DEFAULT = Rule(".*", keep_n=10, older_than=dt.timedelta(days=90))
"""What is proposed where nobody has said anything: GitLab's, for projects that are new."""

GITLAB_KEEP_N = (1, 5, 10, 25, 50, 100)
GITLAB_OLDER_THAN = ("7d", "14d", "30d", "60d", "90d")
_ARGUMENTS = ("enabled", "cadence", "requires_approval")


# Whose policy holds


def effective_policies(projects: Iterable[Project]) -> dict[int, CleanupPolicy]:
    """By a project's id the policy that holds for it. One query, however many."""
    known = {project.pk: project.full_path for project in projects}
    above = {path for full_path in known.values() for path in prefixes(full_path)}
    rows = CleanupPolicy.objects.select_related("namespace").filter(
        Q(project__in=known) | Q(namespace__full_path__in=above) | Q(is_instance=True)
    )
    own: dict[int, CleanupPolicy] = {}
    of_groups: dict[str, CleanupPolicy] = {}
    of_all: CleanupPolicy | None = None
    for row in rows:
        if row.project_id is not None:
            own[row.project_id] = row
        elif row.namespace is not None:
            of_groups[row.namespace.full_path] = row
        else:
            of_all = row
    found: dict[int, CleanupPolicy] = {}
    for pk, full_path in known.items():
        nearest = own.get(pk) or next(
            (of_groups[path] for path in reversed(prefixes(full_path)) if path in of_groups), of_all
        )
        if nearest is not None:
            found[pk] = nearest
    return found


def effective_policy(owner: Owner) -> CleanupPolicy:
    """The policy that holds, saved or not: where there is none, one that is off and proposes."""
    if isinstance(owner, Project):
        found = effective_policies([owner]).get(owner.pk)
    else:
        above = prefixes(owner.full_path) if owner is not None else []
        rows = CleanupPolicy.objects.select_related("namespace").filter(
            Q(namespace__full_path__in=above) | Q(is_instance=True)
        )
        found = max(rows, key=_depth, default=None)
    return found or proposed()


def proposed() -> CleanupPolicy:
    """The policy of where nobody has said anything: one that is off, and proposes `DEFAULT`."""
    return CleanupPolicy(rules=[DEFAULT.as_json()])


def _depth(policy: CleanupPolicy) -> int:
    return len(policy.namespace.full_path) if policy.namespace is not None else 0


def is_own(policy: CleanupPolicy, owner: Owner) -> bool:
    """Whether a policy is that of `owner`, and not inherited."""
    if not policy.pk:
        return False
    if owner is None:
        return policy.is_instance is True
    key = policy.project_id if isinstance(owner, Project) else policy.namespace_id
    return key == owner.pk


# Changing it


def require(by: Anybody, owner: Owner) -> None:
    """Raises `NotFound`, `Forbidden` where somebody may not change the policy of `owner`."""
    if isinstance(owner, Project):
        require_in_project(by, owner, Ability.ADMIN_PROJECT)
    elif owner is not None:
        require_in_namespace(by, owner, Ability.ADMIN_GROUP)
    elif by is None or not by.is_active or not by.is_superuser:
        raise Forbidden("Only administrators may do this.")


@transaction.atomic
def save_policy(
    by: Person,
    owner: Owner,
    *,
    enabled: bool | None = None,
    cadence: str | None = None,
    requires_approval: bool | None = None,
    rules: Sequence[Mapping[str, Any]] | None = None,
) -> CleanupPolicy:
    """Change what is given; an inherited policy becomes one of its own first, with what it says.

    What a cadence has planned by the rules of before, and has not begun, is cancelled.
    """
    require(by, owner)
    before = effective_policy(owner)
    if cadence is not None and cadence not in Cadence.values:
        raise Invalid({"cadence": f"One of {', '.join(Cadence.values)}."})
    read = read_rules(rules if rules is not None else before.rules)
    given = {"enabled": enabled, "cadence": cadence, "requires_approval": requires_approval}
    columns: dict[str, Any] = {
        name: getattr(before, name) if value is None else value for name, value in given.items()
    }
    was = {name: getattr(before, name) for name in (*_ARGUMENTS, "rules")}
    columns["rules"] = [rule.as_json() for rule in read]
    if columns["enabled"] and not any(rule.says_something for rule in read):
        why = "A policy that is on needs a rule with a pattern, or one for images without a tag."
        raise Invalid({"name_regex_delete": why})
    columns |= _times(before if is_own(before, owner) else None, columns)
    columns |= {"updated_by_id": by.person_id, "updated_at": timezone.now()}
    row, _ = CleanupPolicy.objects.update_or_create(**_key(owner), defaults=columns)
    said: dict[str, Any] = {
        name: [was[name], columns[name]]
        for name in (*_ARGUMENTS, "rules")
        if was[name] != columns[name]
    }
    record("cleanup_policy.update", by=by, target=owner or row, **said)
    _cancel_waiting(owner)
    return row


def _times(own: CleanupPolicy | None, columns: Mapping[str, Any]) -> dict[str, Any]:
    """When it runs next: a cadence after it was switched on, or after that was changed."""
    if not columns["enabled"]:
        return {"next_run_at": None, "opened_up_to": 0}
    if own is not None and own.enabled and own.cadence == columns["cadence"]:
        return {}
    return {"next_run_at": timezone.now() + Cadence(columns["cadence"]).length, "opened_up_to": 0}


def _key(owner: Owner) -> dict[str, Any]:
    if isinstance(owner, Project):
        return {"project": owner}
    return {"namespace": owner} if owner is not None else {"is_instance": True}


def _cancel_waiting(owner: Owner) -> None:
    """End the plans of a project that a cadence has made and that have not begun."""
    if isinstance(owner, Project):
        waiting = CleanupRun.objects.filter(
            project=owner,
            by_policy=True,
            approved_by=None,
            status__in=[CleanupRun.Status.PLANNING, CleanupRun.Status.PLANNED],
        )
        waiting.update(
            status=CleanupRun.Status.CANCELLED,
            finished_at=timezone.now(),
            failure_reason="The policy was changed.",
            **UNOWNED,
        )


@transaction.atomic
def remove_policy(by: Person, owner: Owner) -> None:
    """Inherit again. Twice is once."""
    require(by, owner)
    gone, _ = CleanupPolicy.objects.filter(**_key(owner)).delete()
    if gone:
        record("cleanup_policy.delete", by=by, target=owner, path="" if owner else "installation")
        _cancel_waiting(owner)


# GitLab's fields: the first rule


def gitlab_fields(policy: CleanupPolicy) -> dict[str, Any]:
    """A policy as GitLab's ``container_expiration_policy``: its first rule for tags."""
    rule, _ = _first(policy)
    return {
        "cadence": policy.cadence,
        "enabled": policy.enabled,
        "keep_n": rule.keep_n,
        "older_than": age_text(rule.older_than),
        "name_regex": rule.name_regex_delete or None,
        "name_regex_delete": rule.name_regex_delete or None,
        "name_regex_keep": rule.name_regex_keep or None,
        "next_run_at": policy.next_run_at,
    }


def _first(policy: CleanupPolicy) -> tuple[Rule, list[Mapping[str, Any]]]:
    """The first rule for tags, empty where there is none, and the others."""
    others = list(policy.rules)
    for at, body in enumerate(others):
        rule = Rule.read(body)
        if not rule.untagged:
            del others[at]
            return rule, others
    return Rule(), others


def save_gitlab_fields(by: Person, project: Project, given: Mapping[str, Any]) -> CleanupPolicy:
    """Change what is given of GitLab's fields; further rules, and ours, stay as they are."""
    first, others = _first(effective_policy(project))
    rule = first.as_json()
    if "name_regex" in given:
        rule["name_regex_delete"] = given["name_regex"]
    rule |= {
        name: given[name]
        for name in ("name_regex_delete", "name_regex_keep", "keep_n", "older_than")
        if name in given
    }
    _check_gitlabs(given)
    return save_policy(
        by,
        project,
        enabled=given.get("enabled"),
        cadence=given.get("cadence"),
        rules=[rule, *others],
    )


def _check_gitlabs(given: Mapping[str, Any]) -> None:
    """The values that GitLab takes. Raises `Invalid`."""
    keep_n, older_than = given.get("keep_n"), given.get("older_than")
    if keep_n is not None and keep_n not in GITLAB_KEEP_N:
        raise Invalid({"keep_n": f"One of {', '.join(map(str, GITLAB_KEEP_N))}."})
    if older_than and age_text(duration(older_than)) not in GITLAB_OLDER_THAN:
        raise Invalid({"older_than": f"One of {', '.join(GITLAB_OLDER_THAN)}."})

"""Quotas are set, and what is used is looked up, here. `by` is who does it.

Administrators limit any project or namespace. Owners limit theirs, below what holds there already,
and not where an administrator has. A change ends the registry's tokens for what is below, so that
it holds at the next request. The registry counts and refuses: see `registry.services.usage`.

Refusals: `NotFound`, `Forbidden`, `Invalid` by argument.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import own_api
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.services import hold_namespace, hold_project
from gitlab.principals import Anybody, Person
from gitlab.quotas.models import Quota
from gitlab.quotas.reading import Limit, holding
from gitlab.refusals import Forbidden, Invalid
from gitlab.revocations import services as revocations

MAX_BYTES = 10**18
MAX_IMAGES = 10**9
WARNINGS = (95, 80)
"""Percents of a limit from which on the pages warn, the highest first."""


class Use(NamedTuple):
    """A limit, and what is used of it. The numbers are None where the registry has not counted."""

    limit: Limit
    bytes: int | None
    images: int | None

    @property
    def percent(self) -> int:
        """How much of the limit is used, of that which is used up more."""
        pairs = ((self.bytes, self.limit.max_bytes), (self.images, self.limit.max_images))
        parts = [
            100 if limit == 0 else used * 100 // limit
            for used, limit in pairs
            if used is not None and limit is not None
        ]
        return max(parts, default=0)

    @property
    def warning(self) -> int:
        """The percent of `WARNINGS` that is reached; 0 below them."""
        return next((percent for percent in WARNINGS if self.percent >= percent), 0)


def require_reading(by: Anybody, owner: Routable) -> None:
    """Raises `NotFound`, `Forbidden` where somebody may not see what is used and limited."""
    if isinstance(owner, Project):
        require_in_project(by, owner, Ability.PUSH_IMAGE)
    else:
        needed = Ability.READ_MEMBERS if owner.is_group else Ability.CREATE_PROJECT
        require_in_namespace(by, owner, needed)


def may_set(by: Person, owner: Routable, existing: Quota | None) -> bool:
    """Whether somebody may set the limits, now `existing`, of what they have been let see."""
    if by.is_superuser:
        return True
    needed = Ability.REMOVE_PROJECT if isinstance(owner, Project) else Ability.REMOVE_GROUP
    return needed in owner.abilities and not (existing and existing.set_by_admin)


def of(owner: Routable) -> Quota | None:
    """The row of a project or namespace itself."""
    return Quota.objects.filter(**_where(owner)).first()


def _where(owner: Routable) -> dict[str, Any]:
    return {"project" if isinstance(owner, Project) else "namespace": owner}


@transaction.atomic
def set_quota(
    by: Person, owner: Routable, *, max_bytes: int | None, max_images: int | None
) -> Quota:
    """Limit a project or namespace; None is no limit. Twice is as once."""
    held: Routable = hold_project(owner) if isinstance(owner, Project) else hold_namespace(owner)
    require_reading(by, held)
    if not may_set(by, held, of(held)):
        raise Forbidden("Only administrators change this limit, and owners what is theirs to set.")
    _check(max_bytes, MAX_BYTES, "max_bytes")
    _check(max_images, MAX_IMAGES, "max_images")
    if not by.is_superuser:
        _check_lower(held, max_bytes, max_images)
    is_admins = by.is_superuser and not (max_bytes is None and max_images is None)
    known = Quota.objects.filter(**_where(held)).first()
    before = (known.max_bytes, known.max_images) if known else (None, None)
    quota, _ = Quota.objects.update_or_create(
        **_where(held),
        defaults={
            "max_bytes": max_bytes,
            "max_images": max_images,
            "set_by_admin": is_admins,
            "updated_at": timezone.now(),
            # Of another limit; the job looks within the hour.
            "used_percent": 0,
        },
    )
    record(
        "quota.update",
        by=by,
        target=held,
        max_bytes=[before[0], max_bytes],
        max_images=[before[1], max_images],
    )
    # Also where it is looser: whoever was refused shall not wait for ten minutes.
    revocations.end_tokens(path=held.full_path)
    return quota


def _check(value: int | None, most: int, argument: str) -> None:
    if value is not None and not 0 <= value <= most:
        raise Invalid({argument: f"From 0 to {most}."})


def _check_lower(owner: Routable, max_bytes: int | None, max_images: int | None) -> None:
    for limit in holding(owner):
        if limit.path == owner.full_path and not limit.by_admin:
            continue
        for argument, wanted, most in (
            ("max_bytes", max_bytes, limit.max_bytes),
            ("max_images", max_images, limit.max_images),
        ):
            if wanted is not None and most is not None and wanted > most:
                raise Invalid({argument: f"At most {most}, the limit of {limit.path}."})


def uses(by: Anybody, owner: Routable) -> list[Use]:
    """Each limit that holds for a project or namespace, with what is used, the highest first.

    Where nothing limits it, what is used there. What is used above is told as a part of the limit:
    who pushes has to fit into it. Raises `RegistryUnavailable`, `RegistryRefused`.
    """
    require_reading(by, owner)
    limits = holding(owner)
    if all(limit.path != owner.full_path for limit in limits):
        limits.append(Limit(owner.full_path, None, None, False))
    registry = own_api(clients.for_pages(), "can't say what is used")
    found = {used.path: used for used in registry.usage([limit.path for limit in limits])}
    result = []
    for limit in limits:
        used = found.get(limit.path)
        size = used.bytes if used is not None and used.is_counted else None
        result.append(Use(limit, size, used.images if used is not None else None))
    return result

"""Limits that are nearly used up: their owners are told by mail, once at each of `WARNINGS`.

How much is used is noted for home, where mail is off too. A job looks at a part of the quotas,
those first that were looked at longest ago. What falls below a percent may reach it once more, and
is told again.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry, own_api
from gitlab.mail import services as mail
from gitlab.namespaces import members
from gitlab.namespaces.models import AccessLevel, Namespace, Project
from gitlab.principals import Person
from gitlab.quotas.models import Quota
from gitlab.quotas.reading import limits_at
from gitlab.quotas.services import Use

AT_ONCE = 1000
"""Quotas that a run looks at."""

_ASKED = 50
"""Paths of one question to the registry."""

TOLD = 20
"""People who are told of one limit."""

_MOST_PERCENT = 999_999
"""That of which no more is said: a limit may be a byte."""


def warn(registry: Registry | None = None) -> int:
    """Tell the owners of what is nearly used up; how many limits that were.

    Nobody where mail is off: the pages warn all the same. Raises `RegistryUnavailable`,
    `RegistryRefused`.
    """
    _note_defaults()
    rows = Quota.objects.select_related("project__namespace", "namespace").order_by("looked_at")
    if not _has_default():
        rows = rows.exclude(max_bytes=None, max_images=None)
    quotas = list(rows[:AT_ONCE])
    own = own_api(registry or clients.for_jobs(), "can't say what is used") if quotas else None
    told = 0
    for start in range(0, len(quotas), _ASKED):
        assert own is not None
        some = quotas[start : start + _ASKED]
        used = {each.path: each for each in own.usage([one.owner.full_path for one in some])}
        for quota in some:
            found = used.get(quota.owner.full_path)
            size = found.bytes if found is not None and found.is_counted else None
            told += _look(quota, size, found.images if found is not None else None)
    return told


def _has_default() -> bool:
    return bool(settings.QUOTA_BYTES or settings.QUOTA_IMAGES)


def _note_defaults() -> None:
    """A row for namespaces at the top that only the installation's default limits."""
    if _has_default():
        named = Quota.objects.filter(namespace__isnull=False).values("namespace")
        top = Namespace.objects.filter(parent=None).exclude(pk__in=named)[:AT_ONCE]
        Quota.objects.bulk_create([Quota(namespace=each) for each in top], ignore_conflicts=True)


@transaction.atomic
def _look(quota: Quota, size: int | None, images: int | None) -> bool:
    """Whether the owners are told that one limit has reached a percent that it had not."""
    owner = quota.owner
    is_top = isinstance(owner, Namespace) and owner.parent_id is None
    uses = [Use(limit, size, images) for limit in limits_at(owner.full_path, quota, is_top=is_top)]
    use = max(uses, key=lambda each: each.percent, default=None)
    reached = use.warning if use is not None else 0
    # Whoever is told later, once mail is on, is told then.
    told = reached if mail.is_on() else min(reached, quota.warned_percent)
    known = Quota.objects.filter(pk=quota.pk, warned_percent=quota.warned_percent)
    percent = min(use.percent, _MOST_PERCENT) if use is not None else 0
    if (
        not known.update(used_percent=percent, warned_percent=told, looked_at=timezone.now())
        or not mail.is_on()
    ):
        return False
    if use is None or reached <= quota.warned_percent:
        return False
    subject = f"{owner.full_path} has used {use.percent} % of its storage quota"
    text = _text(quota, use)
    for person in _people_of(quota):
        mail.queue(person, subject, text)
    return True


def _people_of(quota: Quota) -> Sequence[Person]:
    found = members.highest_of(quota.owner, TOLD)
    return [one.user for one in found if one.level >= AccessLevel.OWNER and not one.user.is_bot]


def _text(quota: Quota, use: Use) -> str:
    kind = "project" if isinstance(quota.owner, Project) else "group"
    path = reverse(f"quotas:{kind}", kwargs={"path": use.limit.path})
    return render_to_string(
        "quotas/mail/nearly_used_up.txt", {"use": use, "page": f"{settings.EXTERNAL_URL}{path}"}
    )

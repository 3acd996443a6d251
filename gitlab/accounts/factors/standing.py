"""Whether somebody has a second factor, and whether they have to: read along with their row.

What asks is every page and every password, so it must not be a question of its own: `read_along`
makes it a part of the one that finds the person.
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import NamedTuple

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone

from gitlab.accounts.models import User
from gitlab.namespaces import user_access
from gitlab.namespaces.models import Member, Namespace

PROVING = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""The kinds that make a second factor. Recovery codes only stand in for one of them."""


PROVEN_ELSEWHERE = "factor_proven_elsewhere"
"""In a session: the id of whom an identity provider has asked for a second factor itself."""


class Standing(NamedTuple):
    """Where somebody stands. `grace` is None for whom nobody requires anything of."""

    has_factor: bool
    grace: dt.timedelta | None
    """From when they were first told, for how long they may go on without."""

    told_at: dt.datetime | None

    @property
    def is_lacking(self) -> bool:
        """Whether a factor is required and not there."""
        return self.grace is not None and not self.has_factor

    @property
    def deadline(self) -> dt.datetime | None:
        """When the grace ends; None for whom it has not begun, or who needs none."""
        if not self.is_lacking or self.told_at is None or self.grace is None:
            return None
        return self.told_at + self.grace

    @property
    def is_overdue(self) -> bool:
        """Whether there is nothing for them but to set one up."""
        if not self.is_lacking:
            return False
        deadline = self.deadline
        return deadline <= timezone.now() if deadline else self.grace == dt.timedelta(0)

    @property
    def needs_token(self) -> bool:
        """Whether their password alone is not enough where no factor can be asked."""
        return self.has_factor or self.is_overdue


def read_along(people: QuerySet[User]) -> QuerySet[User]:
    """The same people, whose standing costs no query more."""
    factors = Authenticator.objects.filter(user_id=OuterRef("pk"), type__in=PROVING)
    return people.annotate(  # type: ignore[no-redef]
        has_factor=Exists(factors), group_grace=Subquery(_shortest_grace(timezone.now().date()))
    )


def limited_to(people: QuerySet[User], *, has_factor: bool) -> QuerySet[User]:
    """Of people whose standing is read along those with, or without, a factor."""
    return people.filter(has_factor=has_factor)  # type: ignore[misc]


@functools.lru_cache(maxsize=2)
def _shortest_grace(today: dt.date) -> QuerySet[Namespace, int]:
    """The hours of the strictest group that somebody belongs to `today`, in it or below it.

    Every page asks, and Django takes milliseconds to think such a query up: once a day is enough.
    """
    belongs = (
        Member.objects.filter(user_id=OuterRef(OuterRef("pk")))
        .annotate(of=Coalesce("namespace__full_path", "project__full_path"))
        .filter(
            Q(of=OuterRef("full_path"))
            | Q(of__startswith=Concat(OuterRef("full_path"), Value("/")))
        )
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=today))
    )
    # Who comes by a group that is invited belongs there as well.
    invited = (
        user_access.links_with_member(OuterRef(OuterRef("pk")))
        .annotate(of=Coalesce("namespace__full_path", "project__full_path"))
        .filter(
            Q(of=OuterRef("full_path"))
            | Q(of__startswith=Concat(OuterRef("full_path"), Value("/")))
        )
    )
    groups = Namespace.objects.filter(require_two_factor_authentication=True)
    return (
        groups.filter(Exists(belongs) | Exists(invited))
        .order_by("two_factor_grace_period")
        .values_list("two_factor_grace_period", flat=True)[:1]
    )


def of(user: User) -> Standing:
    """Where `user` stands: by what was read along, else by a query."""
    if user.has_factor is None:
        found = read_along(User.objects.filter(pk=user.pk)).first()
        user.has_factor = bool(found and found.has_factor)
        user.group_grace = found.group_grace if found else None
    graces = [] if user.group_grace is None else [dt.timedelta(hours=user.group_grace)]
    if settings.REQUIRE_TWO_FACTOR:
        graces.append(settings.TWO_FACTOR_GRACE)
    grace = min(graces) if graces and not user.is_bot else None
    return Standing(bool(user.has_factor), grace, user.two_factor_told_at)


def forget(user: User) -> None:
    """What was read along holds no longer."""
    user.has_factor = None


def tell(user: User) -> None:
    """Note that they are told now that a factor is required: their grace begins. Once."""
    now = timezone.now()
    rows = User.objects.filter(pk=user.pk, two_factor_told_at__isnull=True)
    if rows.update(two_factor_told_at=now):
        user.two_factor_told_at = now


def untell(user: User) -> None:
    """Nobody requires it any more: where it is required again, the grace begins anew."""
    User.objects.filter(pk=user.pk).update(two_factor_told_at=None)
    user.two_factor_told_at = None

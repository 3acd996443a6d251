"""People as administrators look for them, and what belongs to one of them."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from gitlab.access_tokens import checks
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts import login_waits, sessions
from gitlab.accounts.factors import services as factors
from gitlab.accounts.factors import standing
from gitlab.accounts.models import LoginWait, User
from gitlab.namespaces.models import Member, Project
from gitlab.namespaces.user_access import live_members

SHOWN = 50
"""Of each list on one's page. Where there are more, their number is told."""

STATES = [
    ("active", "Active"),
    ("blocked", "Blocked"),
    ("deactivated", "Deactivated"),
    ("waiting", "Waiting after failed logins"),
]
ROLES = [("admin", "Administrators"), ("external", "External"), ("bot", "Bots")]
FACTORS = [("yes", "With a second factor"), ("no", "Without")]


def people(
    *, search: str = "", state: str = "", role: str = "", factor: str = ""
) -> QuerySet[User]:
    """People, or with the role ``bot`` those whom nobody can sign in as; unknown words count not.

    Each has `has_factor` filled.
    """
    rows = User.objects.filter(user_type="project_bot" if role == "bot" else "human")
    own = Authenticator.objects.filter(user_id=OuterRef("pk"), type__in=standing.PROVING)
    rows = rows.annotate(has_factor=Exists(own))  # type: ignore[no-redef]
    if state == "waiting":
        waits = LoginWait.objects.filter(user_id=OuterRef("pk"), until__gt=timezone.now())
        rows = rows.filter(Exists(waits))
    elif state in User.State.values:
        rows = rows.filter(state=state)
    if role == "admin":
        rows = rows.filter(is_superuser=True)
    elif role == "external":
        rows = rows.filter(external=True)
    if factor in ("yes", "no"):
        rows = standing.limited_to(rows, has_factor=factor == "yes")
    text = search.strip().removeprefix("@").lower()
    if text:
        names = Q(username__contains=text) | Q(name__icontains=text)
        rows = rows.filter(names | Q(email__contains=text))
    return rows


def belongings(user: User) -> dict[str, Any]:
    """Factors, waits, sessions, tokens, memberships of somebody, each within a bound."""
    tokens = PersonalAccessToken.objects.filter(checks.usable(), user_id=user.pk)
    memberships = live_members().filter(user_id=user.pk)
    projects = Project.objects.filter(namespace__owner_id=user.pk, pending_delete_at__isnull=True)
    return {
        "factors": [
            {
                "kind": factors.KINDS[row.type],
                "created_at": row.created_at,
                "used": row.last_used_at,
            }
            for row in factors.of(user)
        ],
        "waits": list(
            LoginWait.objects.filter(user_id=user.pk, until__gt=timezone.now())[: login_waits.MOST]
        ),
        "sessions": sessions.of(user, None),
        "tokens": list(tokens.order_by("-created_at")[:SHOWN]),
        "tokens_count": tokens.count(),
        "memberships": _memberships(memberships),
        "memberships_count": memberships.count(),
        "projects_count": projects.count(),
        "identities": list(user.identities.all()[:SHOWN]),
    }


def _memberships(rows: QuerySet[Member]) -> list[Member]:
    found = rows.select_related("namespace", "project__namespace", "created_by")
    return list(found.order_by("-access_level", "pk")[:SHOWN])

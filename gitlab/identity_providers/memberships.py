"""Groups of a provider become memberships, and memberships end with them.

What people have given is never touched: only members with a `GivenMembership` are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Max

from gitlab.audit.services import record
from gitlab.config.identity_tables import Membership
from gitlab.identity_providers.models import GivenMembership, Identity
from gitlab.namespaces import members
from gitlab.namespaces.models import Member, Namespace, Project, Routable, Route


def wanted(mapping: Iterable[Membership], groups: Collection[str]) -> dict[str, int]:
    """Full path → level, the highest that one of the provider's groups gives."""
    found: dict[str, int] = {}
    for one in mapping:
        if one.group in groups:
            found[one.path] = max(found.get(one.path, 0), one.level)
    return found


def apply(identity: Identity, levels: dict[str, int]) -> None:
    """Give what `levels` say (full path → level) and take away what this identity gave besides.

    Within a transaction that holds the identity. A path at which nothing is gives nothing, nor does
    a person's own namespace. A group may be left without an owner: administrators remain.
    """
    places = _places(levels)
    rows = GivenMembership.objects.filter(identity=identity).select_related("member")
    for row in rows.order_by("pk"):
        where = _place(row.member)
        if where.full_path not in places:
            row.delete()
            _settle(row.member, where, identity)
    # In one order, so that two who come at once wait for each other and don't lock each other out.
    for path, where in sorted(places.items()):
        _give(identity, where, levels[path])


def _places(levels: dict[str, int]) -> dict[str, Routable]:
    routes = Route.objects.filter(full_path__in=levels).select_related("namespace", "project")
    found = {route.full_path: route.project or route.namespace for route in routes}
    return {
        path: place
        for path, place in found.items()
        if place is not None
        and place.pending_delete_at is None
        and (isinstance(place, Project) or place.is_group)
    }


def _place(member: Member) -> Routable:
    place = member.project or member.namespace
    assert place is not None
    return place


def _give(identity: Identity, where: Routable, level: int) -> None:
    at: dict[str, Any] = {"project": where} if isinstance(where, Project) else {"namespace": where}
    # Held, so that nobody adds the same person meanwhile.
    type(where).objects.select_for_update().filter(pk=where.pk).first()
    member = Member.objects.filter(user_id=identity.user_id, **at).first()
    if member is None:
        member = Member.objects.create(user_id=identity.user_id, access_level=level, **at)
        _record("member.add", identity, where, level=level)
    elif not member.given_by.exists():
        return
    GivenMembership.objects.update_or_create(
        identity=identity, member=member, defaults={"access_level": level}
    )
    _settle(member, where, identity)


def _settle(member: Member, where: Routable, identity: Identity) -> None:
    """Let a member have the highest level that is given, and end where none is."""
    before = member.access_level
    level = member.given_by.aggregate(highest=Max("access_level"))["highest"]
    if level is None:
        member.delete()
        _record("member.remove", identity, where)
    elif level != before:
        Member.objects.filter(pk=member.pk).update(access_level=level)
        _record("member.update", identity, where, level=[before, level])
    if level is None or level < before:
        members.end_tokens_of(identity.user, where)


def _record(action: str, identity: Identity, where: Namespace | Project, **details: Any) -> None:
    record(
        action,
        by=None,
        target=where,
        about=identity.user,
        member=identity.user.username,
        provider=identity.provider,
        **details,
    )

"""Who belongs to a group or project, with which level, and where that comes from.

A level holds for everything below. Nobody gives more than they have; the last owner of a group
stays. `by` is who does it; refusals as in `services`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import (
    Case,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.namespaces import user_access
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import AccessLevel, GroupLink, Member, Namespace, Project, Routable
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import Ability, UserAccess
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.revocations import services as revocations


@dataclass(frozen=True)
class Membership:
    """A person's level in a project or group, and the group, namespace or project that it comes
    from.

    `member` is None for the owner of a personal namespace, who is no member of it. `is_invited`:
    they are a member of `source`, which is invited here or above.
    """

    user: Person
    level: AccessLevel
    source: Namespace | Project
    is_inherited: bool
    expires_at: dt.date | None = None
    member: Member | None = None
    is_invited: bool = False


def _of(routable: Routable) -> Q:
    return Q(project=routable) if isinstance(routable, Project) else Q(namespace=routable)


def require_administered(by: Person, routable: Routable) -> UserAccess:
    """How `by` stands, where they may manage members. The routable is held until the end.

    Raises `NotFound`, `Forbidden`.
    """
    if isinstance(routable, Project):
        row = (
            Project.objects.select_for_update(of=("self",))
            .select_related("namespace")
            .filter(pk=routable.pk, pending_delete_at__isnull=True)
            .first()
        )
        if row is None:
            raise NotFound("nothing here")
        require_in_project(by, row, Ability.ADMIN_MEMBERS)
        return user_access.in_project(by, row)
    group = (
        Namespace.objects.select_for_update()
        .filter(pk=routable.pk, pending_delete_at__isnull=True)
        .first()
    )
    if group is None:
        raise NotFound("nothing here")
    if not group.is_group:
        raise Forbidden("A person's own namespace has no members: add them to a project.")
    require_in_namespace(by, group, Ability.ADMIN_MEMBERS)
    return user_access.in_namespace(by, group)


def check_level(access: UserAccess, level: int) -> AccessLevel:
    """The level, where somebody with this access may give it. Raises `Invalid`, `Forbidden`."""
    try:
        known = AccessLevel(level)
    except ValueError as error:
        levels = ", ".join(f"{value} ({label})" for value, label in AccessLevel.choices)
        raise Invalid({"access_level": f"One of {levels}."}) from error
    if not access.admin and known > access.level:
        raise Forbidden("You can't give more than you have.")
    return known


def check_expiry(expires_at: dt.date | None) -> dt.date | None:
    """The first day on which something no longer holds. Raises `Invalid` for one that has come."""
    if expires_at is not None and expires_at <= timezone.now().date():
        raise Invalid({"expires_at": "A day in the future."})
    return expires_at


def _keep_an_owner(member: Member) -> None:
    """Raises `Conflict` where `member` is the last owner of a group."""
    if member.namespace_id is None or member.access_level != AccessLevel.OWNER:
        return
    if (
        not _lasting_owners()
        .filter(namespace_id=member.namespace_id)
        .exclude(pk=member.pk)
        .exists()
    ):
        raise Conflict({"__all__": "A group keeps at least one owner."})


def _lasting_owners() -> QuerySet[Member]:
    return Member.objects.filter(
        access_level=AccessLevel.OWNER,
        expires_at__isnull=True,
        user__state="active",
        user__user_type="human",
    )


def only_owned_by(user: Person) -> Namespace | None:
    """A group that would have no owner without `user`, None where there is none."""
    others = (
        _lasting_owners().filter(namespace_id=OuterRef("namespace_id")).exclude(user_id=user.pk)
    )
    alone = Member.objects.filter(
        ~Exists(others),
        user_id=user.pk,
        access_level=AccessLevel.OWNER,
        namespace__isnull=False,
        namespace__pending_delete_at__isnull=True,
    ).select_related("namespace")
    found = alone.first()
    return found.namespace if found else None


@transaction.atomic
def add_member(
    by: Person,
    routable: Routable,
    user: Person,
    access_level: int,
    expires_at: dt.date | None = None,
) -> Member:
    """Make `user` a member. Raises `Invalid` for ``user`` where they are one already."""
    access = require_administered(by, routable)
    level = check_level(access, access_level)
    if user.is_bot:
        raise Invalid({"user": f"{user.username} is a bot: it belongs to its token's place."})
    if Member.objects.filter(_of(routable), user_id=user.pk).exists():
        raise Invalid({"user": f"{user.username} is a member already."}, code="taken")
    member = Member.objects.create(
        user_id=user.pk,
        project=routable if isinstance(routable, Project) else None,
        namespace=None if isinstance(routable, Project) else routable,
        access_level=level,
        expires_at=check_expiry(expires_at),
        created_by_id=by.person_id,
    )
    record(
        "member.add",
        by=by,
        target=routable,
        about=user,
        member=user.username,
        level=int(level),
        expires_at=str(member.expires_at) if member.expires_at else None,
    )
    return member


@transaction.atomic
def update_member(
    by: Person,
    routable: Routable,
    user: Person,
    access_level: int,
    expires_at: dt.date | None = None,
) -> Member:
    """Give a direct member another level and another last day. Raises `NotFound` for others."""
    access = require_administered(by, routable)
    member = _direct(routable, user)
    _refuse_bots(user)
    if not access.admin and member.access_level > access.level:
        raise Forbidden("You can't change somebody above you.")
    level = check_level(access, access_level)
    expires_at = check_expiry(expires_at)
    if level != AccessLevel.OWNER or expires_at is not None:
        _keep_an_owner(member)
    before, ended = member.access_level, member.expires_at
    member.access_level, member.expires_at = level, expires_at
    member.save(update_fields=["access_level", "expires_at"])
    days = [str(day) if day else None for day in (ended, expires_at)]
    moved: dict[str, Any] = {"expires_at": days} if days[0] != days[1] else {}
    record(
        "member.update",
        by=by,
        target=routable,
        about=user,
        member=user.username,
        level=[before, int(level)],
        **moved,
    )
    if level < before:
        end_tokens_of(user, routable)
    return member


@transaction.atomic
def remove_member(by: Person, routable: Routable, user: Person) -> None:
    """End a direct membership; everybody may end their own. Raises `NotFound` for others."""
    _refuse_bots(user)
    if by.pk == user.pk:
        _hold(routable)
        member = _direct(routable, user)
    else:
        access = require_administered(by, routable)
        member = _direct(routable, user)
        if not access.admin and member.access_level > access.level:
            raise Forbidden("You can't remove somebody above you.")
    _keep_an_owner(member)
    member.delete()
    record("member.remove", by=by, target=routable, about=user, member=user.username)
    end_tokens_of(user, routable)


def end_tokens_of(user: Person, routable: Routable) -> None:
    """Somebody is less than they were in a group or project, and so wherever that is invited."""
    invited = (
        not isinstance(routable, Project) and GroupLink.objects.filter(group=routable).exists()
    )
    revocations.end_tokens(subject=user.username, path="" if invited else routable.full_path)


def _refuse_bots(user: Person) -> None:
    """A bot's membership is its token's: raises `Forbidden`."""
    if user.is_bot:
        raise Forbidden("This is a bot: revoke its token, or make another.")


def _hold(routable: Routable) -> None:
    rows = Project.objects if isinstance(routable, Project) else Namespace.objects
    rows.select_for_update().filter(pk=routable.pk).first()


def _direct(routable: Routable, user: Person) -> Member:
    member = Member.objects.select_related("user").filter(_of(routable), user_id=user.pk).first()
    if member is None:
        raise NotFound("not a member")
    return member


def _where(routable: Routable, *, inherited: bool) -> Q:
    """The members of a project or group, with those of the groups above where `inherited`."""
    if not inherited:
        return _of(routable)
    namespace = routable.namespace if isinstance(routable, Project) else routable
    above = Q(namespace__full_path__in=prefixes(namespace.full_path))
    return above | Q(project=routable) if isinstance(routable, Project) else above


def user_ids_of(routable: Routable, *, inherited: bool = True) -> Q:
    """Which people belong here, as a condition on their rows; expired memberships don't count."""
    rows = user_access.live_members().filter(_where(routable, inherited=inherited))
    ids: QuerySet[Any, Any] = rows.values("user_id")
    if inherited:
        groups = user_access.links_above(routable).values("group_id")
        # One list of ids and not two: so the people are walked in order, and nothing is sorted.
        ids = ids.union(_invited(groups).values("user_id"))
    found = Q(pk__in=ids)
    namespace = routable.namespace if isinstance(routable, Project) else routable
    if namespace.owner_id is not None:
        found |= Q(pk=namespace.owner_id)
    return found


def _invited(groups: Any) -> QuerySet[Member]:
    """The people of groups, by their ids, who belong wherever the groups are invited: no bots."""
    return user_access.live_members().filter(namespace_id__in=groups, user__user_type="human")


def _by_link(link: GroupLink, row: Member) -> Membership:
    """What somebody is by an invitation, as a member of the group that is invited."""
    return Membership(
        user=row.user,
        level=AccessLevel(min(row.access_level, link.group_access)),
        source=link.group,
        is_inherited=True,
        expires_at=min(filter(None, (row.expires_at, link.expires_at)), default=None),
        member=row,
        is_invited=True,
    )


def _by_links(routable: Routable, among: Collection[int] | None) -> list[Membership]:
    """Who belongs here by a group that is invited here or above, once for each such group."""
    links = list(user_access.links_above(routable).select_related("group"))
    if not links:
        return []
    rows = _invited({link.group_id for link in links}).select_related("user", "created_by")
    if among is not None:
        rows = rows.filter(user_id__in=among)
    of_group: dict[int | None, list[Member]] = defaultdict(list)
    for row in rows:
        of_group[row.namespace_id].append(row)
    return [_by_link(link, row) for link in links for row in of_group[link.group_id]]


def members_of(
    routable: Routable, *, among: Collection[int] | None = None, inherited: bool = True
) -> list[Membership]:
    """Everybody who belongs here, each once with the highest level; by level, then by name.

    `among` limits to people of these ids; without `inherited` only those are there who belong to
    the project or group itself, the owner of a personal namespace included. Of two equal levels the
    nearer one is shown, and a membership before an invitation. What has expired is left out.
    """
    namespace = routable.namespace if isinstance(routable, Project) else routable
    rows = user_access.live_members().filter(_where(routable, inherited=inherited))
    if among is not None:
        rows = rows.filter(user_id__in=among)
    rows = rows.select_related("user", "namespace", "project", "created_by")
    found = [
        Membership(
            user=row.user,
            level=AccessLevel(row.access_level),
            source=source,
            is_inherited=source != routable,
            expires_at=row.expires_at,
            member=row,
        )
        for row in rows
        if (source := row.project or row.namespace) is not None
    ]
    owner = namespace.owner
    if owner is not None and (among is None or owner.pk in among):
        found.append(Membership(owner, AccessLevel.OWNER, namespace, namespace != routable))
    if inherited:
        found += _by_links(routable, among)
    found.sort(key=lambda one: (one.level, not one.is_invited, len(one.source.full_path)))
    highest = {one.user.pk: one for one in found}
    return sorted(highest.values(), key=lambda one: (-one.level, one.user.username))


def people_of(routable: Routable, *, search: str = "") -> QuerySet[Any]:
    """Everybody who belongs here, by user name; those with `search` in a name of theirs."""
    found = get_user_model().objects.filter(user_ids_of(routable)).order_by("username")
    text = search.strip().removeprefix("@")
    if text:
        found = found.filter(Q(username__contains=text.lower()) | Q(name__icontains=text))
    return found


def with_levels(people: QuerySet[Any], routable: Routable) -> QuerySet[Any]:
    """The people with the level that they have here, as `level`."""
    rows = user_access.live_members().filter(_where(routable, inherited=True))
    highest = (
        rows.filter(user_id=OuterRef("pk")).order_by("-access_level").values("access_level")[:1]
    )
    links = user_access.links_above(routable).values("pk")
    by_links: Any = user_access.links_with_member(OuterRef("pk")).filter(pk__in=links)
    highest_by_links = by_links.order_by("-level").values("level")[:1]
    nothing = Value(0, output_field=IntegerField())
    by_both: Any = Greatest(
        Coalesce(Subquery(highest, output_field=IntegerField()), nothing),
        Coalesce(Subquery(highest_by_links, output_field=IntegerField()), nothing),
    )
    namespace = routable.namespace if isinstance(routable, Project) else routable
    owner: Any = Value(int(AccessLevel.OWNER), output_field=IntegerField())
    return people.annotate(
        level=Case(
            When(pk=namespace.owner_id or 0, then=owner),
            default=by_both,
            output_field=IntegerField(),
        )
    )


class PersonHere(NamedTuple):
    """Somebody, and the level that they have in the place that is asked about."""

    user: Person
    level: AccessLevel


def highest_of(routable: Routable, count: int) -> list[PersonHere]:
    """The first `count` of those who belong here, by level, then by name. One query."""
    people = with_levels(people_of(routable), routable).order_by("-level", "username")[:count]
    return [PersonHere(user, AccessLevel(user.level)) for user in people]

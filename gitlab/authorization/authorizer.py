"""What `tokens` asks GitLab: who is it, may they, and what does that bring about.

The order is the protocol's: `authenticate`, `authorize` decides and changes nothing, `record` then
creates the project that a first push needs and notes the container repository. The database is
asked twice where somebody logs in with a token and asks for an image or two: for that, with the
namespaces and projects of all paths, and for the memberships, with the images pushed to and the
rules and quotas for them. Once more where there are many images, or not all of a push is granted.
What only pulls asks nothing of the last.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings

from gitlab.access_tokens import checks
from gitlab.authorization import new_projects, obstacles, protections, refusals
from gitlab.authorization.credentials.kinds import identify
from gitlab.authorization.principals import Principal
from gitlab.container_registry import repositories
from gitlab.container_registry.image_paths import ImagePath, image_paths, located
from gitlab.container_registry.image_paths import questions as image_questions
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection import reading as rule_questions
from gitlab.container_registry.protection.reading import RuleRow, RulesOfImages
from gitlab.namespaces import policies
from gitlab.namespaces.paths import check_segment
from gitlab.namespaces.policies import Ability, UserAccess
from gitlab.quotas import reading as quotas
from gitlab.quotas.reading import QuotaRow, QuotasOfImages
from gitlab.refusals import Forbidden, Invalid, NotFound
from gitlab.server.databases import rows
from tokens.access import Access
from tokens.authorizer import AccessForbidden, Identity, LoginRefused, RegistryDisabled
from tokens.limiter import TooManyRequests

_NEEDS = {
    "pull": ("read", Ability.READ_IMAGE),
    "push": ("create", Ability.PUSH_IMAGE),
    "delete": ("delete", Ability.ADMIN_IMAGE),
    "*": ("admin", Ability.ADMIN_IMAGE),
}
"""Action → what the credential has to carry, what the project has to allow."""


class _ImageRow(NamedTuple):
    path: str
    status: str | None


_STATUSES = """
SELECT path, status FROM container_registry_containerrepository WHERE path IN ({})
"""
_MOST_ALONG = 16
"""Slashes in the names of all images that are looked for while it is not known yet who asks."""

_AN_ID = 10**9
"""Stands for the id of a project that is not there yet, so that its token's length is known."""

_ANONYMOUS = frozenset(["read"])
_WRITES = {"push", "*"}


class _Meta(dict[str, Any]):
    """The ``meta`` of a granted access, with what `record` needs and no token shows."""

    def __init__(self, image: ImagePath, *, is_noted: bool, until: dt.date | None = None) -> None:
        super().__init__()
        self.image, self.is_noted, self.until = image, is_noted, until
        self.update(
            project_path=image.project_path,
            project_id=image.project.id if image.project else _AN_ID,
            root_namespace_id=image.root_namespace_id,
        )


class GitLabAuthorizer:
    """Implements `tokens.authorizer.Authorizer`. Keeps nothing between requests."""

    def expecting(self, asked: Sequence[Access]) -> contextlib.AbstractContextManager[None]:
        """Let what `authorize` reads first go in one round trip with what tells who it is."""
        names = {access.name for access in asked if access.type == "repository"}
        # Who sends many has not shown yet that they may ask for anything.
        is_small = 0 < sum(name.count("/") for name in names) <= _MOST_ALONG
        return rows.asking_along(*(image_questions(names) if is_small else ()))

    def authenticate(self, username: str, password: str, *, address: str) -> Identity:
        """Who this is: a password, or a personal access token with any name beside it."""
        try:
            return identify(username, password, client_ip=address)
        except LoginRefused as error:
            error.reference = refusals.keep(username, error)
            raise
        except TooManyRequests as error:
            raise refusals.kept_limit(username, error) from error

    def authorize(self, identity: Identity | None, asked: Sequence[Access]) -> list[Access]:
        """What of `asked` is granted.

        A push to an image whose deletion is queued or under way is refused as a whole, with the
        reason: what it would upload would be deleted behind it. It works again once the image is
        gone. A deletion that has failed for good does not stand in the way. So is a push to a path
        that is being changed, for the moment that it takes, and one that a rule keeps whoever asks
        from, though their role would let them.
        """
        if not settings.CONTAINER_REGISTRY_ENABLED:
            raise RegistryDisabled
        principal: Principal | None = identity.principal if identity else None
        found = located(access.name for access in asked if access.type == "repository")
        changed = [
            found[access.name]
            for access in asked
            if access.name in found and _changes_images(access)
        ]
        with rows.asking_along(*(_questions_about(changed) if changed else ())):
            return _with_meta(_allowed_of(principal, asked, found))

    def ends_at(self, identity: Identity | None, granted: Sequence[Access]) -> float | None:
        """When the credential ends, or the first membership by which something was granted."""
        days = [access.meta.until for access in granted if isinstance(access.meta, _Meta)]
        ends = [checks.end_of(day) for day in days] + [identity.ends_at if identity else None]
        return min((end for end in ends if end is not None), default=None)

    def explain(self, identity: Identity, refused: Sequence[Access]) -> dict[str, str]:
        """What stands in the way of what is `refused`, as far as one may know it, by name."""
        principal: Principal = identity.principal
        found = located(access.name for access in refused)
        access_in = _access_to(principal, found.values())
        rules = protections.rules_of(found.values())
        reasons = {
            access.name: obstacles.to_all(
                access,
                found.get(access.name),
                access_in.get(access.name),
                rules,
                carried=principal.abilities,
            )
            for access in refused
        }
        return {name: reason for name, reason in reasons.items() if reason}

    def keep_denied(
        self, identity: Identity | None, denied: Sequence[Access], reasons: Mapping[str, str]
    ) -> dict[str, str]:
        """Keep what is not granted, for whom it concerns; what the client is told, by name."""
        return refusals.keep_denied(identity, denied, reasons)

    def record(self, identity: Identity | None, granted: Sequence[Access]) -> list[Access]:
        """Create projects and note images that `granted` brings about. Twice is as once.

        Raises `TooManyRequests` where somebody's pushes create too many projects.
        """
        recorded = (_record(identity, access) for access in granted)
        return [access for access in recorded if access is not None]


def _changes_images(access: Access) -> bool:
    return access.type == "repository" and not protections.CHANGES.isdisjoint(access.actions)


def _is_catalog(access: Access) -> bool:
    return (access.type, access.name, access.actions) == ("registry", "catalog", ("*",))


def _access_to(principal: Principal | None, images: Collection[ImagePath]) -> dict[str, UserAccess]:
    if principal is None:
        return {image.path: policies.NOBODY for image in images}
    return principal.access_to(images)


class _Granted(NamedTuple):
    """An access that role and credential allow, to which image, and what its reader is there."""

    access: Access
    image: ImagePath | None
    reader: UserAccess


def _allowed_of(
    principal: Principal | None, asked: Sequence[Access], found: Mapping[str, ImagePath]
) -> list[_Granted]:
    """What of `asked` role and credential allow, of the images that were `found`."""
    access_in = _access_to(principal, found.values())
    granted = []
    for access in asked:
        if access.type == "repository" and access.name in found:
            image = found[access.name]
            allowed = _allowed(principal, image, access_in[access.name], access.actions)
            part = access.limited_to(allowed)
            if part is not None:
                granted.append(_Granted(part, image, access_in[access.name]))
        elif _is_catalog(access) and principal is not None and principal.lists_catalog:
            granted.append(_Granted(access, None, policies.NOBODY))
    return granted


def _allowed(
    principal: Principal | None, image: ImagePath, reader: UserAccess, actions: Sequence[str]
) -> set[str]:
    """Which of `actions` somebody may do there."""
    carried = principal.abilities if principal else _ANONYMOUS
    if image.namespace.pending_delete_at is not None or image.is_too_deep:
        return set()
    if image.project is None:
        return _allowed_in_new_project(carried, image, reader, actions)
    if image.project.pending_delete_at is not None:
        return set()
    may = policies.project_abilities(
        reader,
        image.project.visibility,
        image.project.registry_access,
        archived=image.project.archived,
    )
    return {
        action
        for action, (needed, ability) in _NEEDS.items()
        if needed in carried and ability in may
    }


def _allowed_in_new_project(
    carried: frozenset[str], image: ImagePath, reader: UserAccess, actions: Sequence[str]
) -> set[str]:
    """A push may create the project; a pull comes along, since docker asks for both at once.

    Who could make the project may ask for it without: the registry then says that there is nothing,
    and not that they may not know.
    """
    may = policies.group_abilities(reader, image.namespace.visibility)
    if Ability.CREATE_PROJECT not in may:
        return set()
    asks_only = {"pull"} & set(actions) if "read" in carried else set()
    if not settings.PUSH_CREATES_PROJECTS or "push" not in actions or "create" not in carried:
        return asks_only
    try:
        check_segment(image.new_project, at_top=False)
    except Invalid:
        return asks_only
    return {"push", "pull"} if "read" in carried else {"push"}


def _with_meta(granted: Sequence[_Granted]) -> list[Access]:
    """What rules leave of the accesses, with what is to be known of each.

    Raises `AccessForbidden`.
    """
    changed = [each.image for each in granted if each.image and _changes_images(each.access)]
    known, rules, limits = _about(changed) if changed else ({}, RulesOfImages([]), None)
    accesses = []
    for each in granted:
        if each.image is None:
            accesses.append(each.access)
            continue
        if "push" in each.access.actions:
            _refuse_protected(each.image, rules, each.reader.rank)
        is_noted = each.access.name in known
        meta = _Meta(each.image, is_noted=is_noted, until=each.reader.until)
        left = protections.limited(each.access, each.image, rules, each.reader.rank)
        if left is None:
            continue
        if _WRITES & set(left.actions):
            _refuse_push(each.image, known.get(left.name))
        meta.update(left.meta)
        if limits is not None and _WRITES & set(left.actions):
            meta.update(limits.as_meta(each.image))
        accesses.append(Access(left.type, left.name, left.actions, meta))
    return accesses


def _about(
    images: Sequence[ImagePath],
) -> tuple[dict[str, str | None], RulesOfImages, QuotasOfImages]:
    """The status of each image that is noted, by path, and the rules and quotas for all of them."""
    found, rules, limits = rows.read_together(*_questions_about(images))
    statuses = {row.path: row.status for row in found}
    return statuses, RulesOfImages(rules), QuotasOfImages(limits)


def _questions_about(images: Sequence[ImagePath]) -> tuple[rows.Question, ...]:
    paths = [image.path for image in images]
    return (
        (_ImageRow, _STATUSES.format(rows.marks(paths)), paths),
        (RuleRow, *rule_questions.question(images)),
        (QuotaRow, *quotas.question(images)),
    )


def _refuse_protected(image: ImagePath, rules: RulesOfImages, rank: int) -> None:
    """As GitLab does: docker asks the registry by HEAD first, whose answer has no room for why."""
    why = protections.denied(image, rules, rank, "push") if rules else ""
    if why:
        raise AccessForbidden(why, image.path)


def _refuse_push(image: ImagePath, status: str | None) -> None:
    if image.is_changing:
        raise AccessForbidden(f"{image.path} is being renamed: push to its new name", image.path)
    if status in (
        ContainerRepository.Status.DELETE_SCHEDULED,
        ContainerRepository.Status.DELETE_ONGOING,
    ):
        raise AccessForbidden(
            f"{image.path} is being deleted: push again when it is gone", image.path
        )


def _record(identity: Identity | None, access: Access) -> Access | None:
    meta = access.meta
    if not isinstance(meta, _Meta):
        return access
    if identity is not None and _WRITES & set(access.actions):
        principal: Principal = identity.principal
        if meta.image.project is None:
            changed = _create_project(principal, access, meta.image)
            if changed is None:
                return None
            access, meta = changed
        if meta.image.project is not None and not meta.is_noted and _WRITES & set(access.actions):
            try:
                repositories.note(meta.image.project, access.name, by=principal.actor)
            except NotFound:
                return None
    return _plain(access, meta)


def _create_project(
    principal: Principal, access: Access, image: ImagePath
) -> tuple[Access, _Meta] | None:
    """The project of a first push, privately; what is left of the access, and where it now is."""
    # Refused means that another push came first, or that the rights went meanwhile. Either way the
    # decision is made once more, on what is there now.
    creator = principal.creator
    if creator is None:
        return None
    new_projects.count(creator)
    with contextlib.suppress(Invalid, Forbidden, NotFound):
        repositories.create_project_of(image, by=creator, reason=f"push of {access.name}")
    now = image_paths([access.name]).get(access.name)
    if now is None or now.project is None:
        return None
    reader = _access_to(principal, [now])[access.name]
    part = access.limited_to(_allowed(principal, now, reader, access.actions))
    left = (
        protections.limited(part, now, protections.rules_of([now]), reader.rank) if part else None
    )
    if left is None:
        return None
    kept = {"quota": access.meta["quota"]} if "quota" in access.meta else {}
    meta = _Meta(now, is_noted=False)
    meta.update({**left.meta, **kept, **meta})
    return left, meta


def _plain(access: Access, meta: _Meta) -> Access:
    """The access as it is signed. Of a project that is not there the token says nothing."""
    known = dict(meta) if meta.image.project is not None else {}
    return Access(access.type, access.name, access.actions, known)

"""What the token server refuses is kept for whom it concerns: see `audit.denials`.

What is kept names a project where there is one, for its maintainers. The client is told the reason
that `obstacles` gives, which is the same for what is hidden and for what is not there, and an id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.conf import settings

from gitlab.accounts import failed_logins
from gitlab.audit import denials, origin
from gitlab.audit.denials import Denied
from gitlab.audit.models import Denial
from gitlab.authorization.principals import Principal
from gitlab.container_registry.image_paths import ImagePath, located
from tokens.access import Access
from tokens.authorizer import Identity, LoginRefused
from tokens.limiter import TooManyRequests

_UNKNOWN = "not granted"


class Concerned(NamedTuple):
    """Whom a refused login is about, as far as what was shown tells; see `LoginRefused`."""

    credential: str = ""
    person_pk: int | None = None
    project_pk: int | None = None
    namespace_pk: int | None = None
    name: str = ""


def keep(username: str, refused: LoginRefused) -> str:
    """Keep a refused login; its id."""
    if refused.reference:
        return refused.reference
    about = refused.concerned if isinstance(refused.concerned, Concerned) else Concerned()
    reason = str(refused) or "the name, the password or the token is wrong"
    return denials.login(reason, who=failed_logins.digest_of(username), **about._asdict())


def kept_limit(username: str, refused: TooManyRequests) -> TooManyRequests:
    """As `keep`, of a login that came too often: the refusal with its id."""
    reference = getattr(refused, "reference", "")
    reference = reference or denials.login(str(refused), who=failed_logins.digest_of(username))
    if reference:
        refused.args = (denials.told(str(refused), reference),)
    return refused


def keep_denied(
    identity: Identity | None, denied: Sequence[Access], reasons: Mapping[str, str]
) -> dict[str, str]:
    """Keep what was asked for and is not granted; what the client is told, by name."""
    if not settings.DENIALS_KEPT:
        return dict(reasons)
    found = located(access.name for access in denied)
    told = {}
    for access in denied:
        reason = reasons.get(access.name, "")
        reference = denials.note(_of_scope(identity, access, found.get(access.name), reason))
        text = denials.told(reason or _UNKNOWN, reference)
        if reason or reference:
            told[access.name] = text
    return told


def _of_scope(
    identity: Identity | None, access: Access, image: ImagePath | None, reason: str
) -> Denied:
    principal: Principal | None = identity.principal if identity else None
    actor = principal.actor if principal else None
    name = actor.label if actor else ""
    return Denied(
        Denial.Kind.SCOPE,
        who=actor.username if actor else "",
        reason=(reason or _UNKNOWN)[:255],
        name=name[:255],
        credential=origin.current().credential if identity else "",
        address=origin.client_ip(),
        path=access.name[:255],
        actions=",".join(access.actions)[:64],
        person_pk=actor.person_id if actor else None,
        project_pk=image.project.id if image and image.project else None,
        namespace_pk=image.namespace.id if image else None,
    )

"""Trusts of projects and groups: a group's reach everything below it.

Who does something is `by`; refusals are `NotFound`, `Forbidden` and `Invalid` by argument. Whoever
may make a trust may also delete images there, so no trust gives more than its maker has.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from gitlab.access_tokens import checks, credentials
from gitlab.audit.services import record
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Conflict, Invalid, NotFound
from gitlab.revocations import services as revocations
from gitlab.trusted_issuers import checking, id_tokens, network, uses
from gitlab.trusted_issuers.checking import Checked, TrustRow
from gitlab.trusted_issuers.conditions import check as check_conditions
from gitlab.trusted_issuers.id_tokens import RefusedToken
from gitlab.trusted_issuers.models import TrustedIssuer

ACTIONS = {
    "pull": "Pull images.",
    "push": "Push images.",
    "delete": "Delete tags and manifests.",
}
"""What a trust may allow, and what it is for."""

MOST = 100
"""Usable trusts of a project or group."""
_CLAIMS_SHOWN, _CLAIM_SHOWN = 60, 255
"""Of an ID token that is tried; characters of each."""


def _require(by: Person, owner: Routable) -> None:
    if isinstance(owner, Project):
        require_in_project(by, owner, Ability.MANAGE_TRUSTED_ISSUERS)
        return
    require_in_namespace(by, owner, Ability.MANAGE_TRUSTED_ISSUERS)
    if not owner.is_group:
        raise NotFound("A person's own namespace trusts no issuers.")


class _Terms(NamedTuple):
    """What a trust says, as it is kept."""

    name: str
    issuer: str
    audience: str
    conditions: dict[str, str]
    actions: list[str]
    images: str
    expires_at: dt.date | None


def _checked(
    name: str,
    issuer: str,
    conditions: Mapping[str, str],
    actions: Sequence[str],
    audience: str,
    images: str,
    expires_at: dt.date | None,
) -> _Terms:
    issuer = issuer.strip()
    fault = network.url_fault(issuer)
    if fault:
        raise Invalid({"issuer": f"An issuer {fault}."})
    return _Terms(
        name=checks.check_name(name),
        issuer=issuer,
        audience=_check_word("audience", audience),
        conditions=check_conditions(issuer, conditions),
        actions=_check_actions(actions),
        images=_check_word("images", images),
        expires_at=expires_at,
    )


def _check_actions(actions: Sequence[str]) -> list[str]:
    if not actions or set(actions) - set(ACTIONS):
        raise Invalid({"actions": f"At least one of {', '.join(ACTIONS)}."})
    return [action for action in ACTIONS if action in set(actions)]


def _check_word(name: str, text: str) -> str:
    text = text.strip()
    if len(text) > 255 or not text.isprintable():
        raise Invalid({name: "At most 255 characters."})
    return text


@transaction.atomic
def create(  # noqa: PLR0913 - one for each column
    by: Person,
    owner: Routable,
    *,
    name: str,
    issuer: str,
    conditions: Mapping[str, str],
    actions: Sequence[str],
    audience: str = "",
    images: str = "",
    expires_at: dt.date | None = None,
) -> TrustedIssuer:
    """Trust an issuer from now on, where its ID tokens meet all `conditions`.

    `audience` is whom they have to be for (default: this installation's URL), `images` a pattern
    for what follows the owner's path (default: all). Raises `Invalid` by argument, `Conflict` where
    there are `MOST`.
    """
    _require(by, owner)
    terms = _checked(
        name, issuer, conditions, actions, audience, images, checks.check_expiry(expires_at)
    )
    where = _where(owner)
    if TrustedIssuer.objects.filter(checks.usable(), **where).count() >= MOST:
        raise Conflict({"__all__": f"At most {MOST} trusts. Revoke one that is not needed."})
    trust = TrustedIssuer.objects.create(**where, **terms._asdict(), created_by_id=by.person_id)
    _record("create", by, trust, **_told(terms._asdict()))
    return trust


def _where(owner: Routable) -> dict[str, Routable]:
    return {"project" if isinstance(owner, Project) else "namespace": owner}


@transaction.atomic
def update(by: Person, trust: TrustedIssuer, **changes: Any) -> TrustedIssuer:
    """Change what is given, by the names of `create`. Registry tokens by the old terms end.

    Raises `Invalid`, also for a trust that is revoked.
    """
    _require(by, trust.owner)
    trust = TrustedIssuer.objects.select_for_update(of=("self",)).get(pk=trust.pk)
    if trust.is_revoked:
        raise Invalid({"__all__": "It is revoked. Make another one."})
    before = {name: getattr(trust, name) for name in _Terms._fields}
    if changes.get("expires_at", before["expires_at"]) != before["expires_at"]:
        checks.check_expiry(changes["expires_at"])
    after = _checked(**before | changes)._asdict()
    changed = {name: value for name, value in after.items() if value != before[name]}
    if changed:
        TrustedIssuer.objects.filter(pk=trust.pk).update(**changed)
        _record("update", by, trust, **_told(changed))
        revocations.end_tokens(credential=credentials.of_trusted_issuer(trust.pk))
        trust.refresh_from_db(fields=list(changed))
    return trust


def _told(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Terms as the record keeps them. None of them is a secret."""
    return {
        name: value.isoformat() if isinstance(value, dt.date) else value
        for name, value in terms.items()
        if value
    }


def _record(verb: str, by: Person, trust: TrustedIssuer, **details: Any) -> None:
    details = {"name": trust.name, **details}
    path = trust.owner.full_path
    record(f"trusted_issuer.{verb}", by=by, target=trust, path=path, **details)


@transaction.atomic
def revoke(by: Person, trust: TrustedIssuer) -> TrustedIssuer:
    """Trust it no longer; registry tokens that it gave end. Twice is the same as once."""
    _require(by, trust.owner)
    found = TrustedIssuer.objects.filter(pk=trust.pk, revoked_at__isnull=True)
    if found.update(revoked_at=timezone.now()):
        _record("revoke", by, trust)
        revocations.end_tokens(credential=credentials.of_trusted_issuer(trust.pk))
    trust.refresh_from_db(fields=["revoked_at"])
    return trust


def trusts_of(
    by: Person, owner: Routable, *, active: bool | None = None
) -> QuerySet[TrustedIssuer]:
    """The trusts of a project or group itself, the newest first; `active`: the usable ones."""
    _require(by, owner)
    found = TrustedIssuer.objects.filter(**_where(owner)).order_by("-created_at", "-id")
    if active is None:
        return found
    return found.filter(checks.usable() if active else ~checks.usable())


def get_for(by: Person, owner: Routable, pk: int) -> TrustedIssuer:
    """A trust of a project or group, for somebody who may manage it. Raises `NotFound`."""
    found = trusts_of(by, owner).select_related("project__namespace", "namespace").filter(pk=pk)
    trust = found.first()
    if trust is None:
        raise NotFound("no such trust")
    return trust


class Trial(NamedTuple):
    """What a trust makes of an ID token: why it is refused, "" where it is taken, and its claims as
    people read them. The claims of one that is refused may be anybody's.
    """

    refused: str
    claims: list[tuple[str, str]]


def try_token(by: Person, trust: TrustedIssuer, text: str) -> Trial:
    """Hold an ID token against a trust without using it.

    For whoever manages the trust: the reason of a refusal is for them alone.
    """
    _require(by, trust.owner)
    refused, text = "", text.strip()
    try:
        checking.check(checking.row_of(trust), text)
    except RefusedToken as error:
        refused = str(error)
    try:
        claims = id_tokens.read(text).claims
    except RefusedToken:
        return Trial(refused, [])
    shown = itertools.islice(claims.items(), _CLAIMS_SHOWN)
    return Trial(refused, [(name[:_CLAIM_SHOWN], _shown(value)) for name, value in shown])


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:_CLAIM_SHOWN]


def note_use(trust: TrustRow, found: Checked, *, exchange: bool, client_ip: str) -> None:
    """Note that an ID token that meets a trust is used. Raises `RefusedToken`.

    `exchange`: it is used up by it. The first use of each token is recorded, with what it says of
    the conditions.
    """
    try:
        with transaction.atomic():
            if uses.note(trust.id, found.digest, found.ends_at, exchange=exchange):
                _record_use(trust, found)
    except uses.Replayed as error:
        raise RefusedToken(str(error), is_proven=True) from error
    if not checks.is_use_noted(trust.last_used_at, trust.last_used_ip, client_ip=client_ip):
        TrustedIssuer.objects.filter(pk=trust.id).update(
            last_used_at=timezone.now(), last_used_ip=client_ip
        )


def _record_use(trust: TrustRow, found: Checked) -> None:
    """Which job it was: its subject, and what else the conditions ask for."""
    said = {name: str(found.claims.get(name))[:255] for name in ("sub", *trust.conditions)}
    record(
        "trusted_issuer.use",
        by=trust,
        target=TrustedIssuer(
            pk=trust.id, project_id=trust.project_id, namespace_id=trust.namespace_id
        ),
        path=trust.full_path,
        credential=credentials.of_trusted_issuer(trust.id),
        name=trust.name,
        claims=said,
    )

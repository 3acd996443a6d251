"""From who asks, and what for, to a signed token: the same at each door that gives one out."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from tokens.access import Access, InvalidScope, parse_scopes
from tokens.authorizer import AccessForbidden, Authorizer, Identity
from tokens.issue import Bearer, IssuedToken, fitting, issue

_MOST_EXPLAINED = 3
_LONGEST_REASON = 200
"""Names, and characters of each reason: they travel in the token."""


def grant(
    identity: Identity | None, scopes: Sequence[str], authorizer: Authorizer, began: float
) -> tuple[IssuedToken, list[Access]]:
    """A token for what of `scopes` is granted, and what that is. Records what it brings about.

    `began` is the moment before anything was asked, in seconds since the epoch: see `issue`. Raises
    `InvalidScope`, and what the authorizer raises; `AccessForbidden` too for an anonymous caller
    who is granted nothing.
    """
    asked = parse_scopes(scopes)[: settings.TOKENS_MAX_SCOPES]
    try:
        granted = authorizer.authorize(identity, _well_formed(asked))
        if identity is None and not granted:
            raise AccessForbidden("access forbidden")
    except AccessForbidden as error:
        raise AccessForbidden(_kept(authorizer, identity, asked, error), error.name) from error
    bearer = _bearer(identity)
    # What has no room is not granted, and what is not granted brings nothing about.
    fits = fitting(granted, bearer)
    recorded = authorizer.record(identity, fits)
    # Once more where a project has got a longer path meanwhile, or is known only now.
    signed = recorded if _says_the_same(recorded, fits) else fitting(recorded, bearer)
    token = issue(
        signed,
        subject=bearer.subject,
        auth_type=bearer.auth_type,
        user=bearer.user,
        credential=bearer.credential,
        decided_at=began,
        ends_at=authorizer.ends_at(identity, granted),
        refusals=_explained(authorizer, identity, asked, recorded),
    )
    return token, signed


def expected(scopes: Sequence[str]) -> list[Access]:
    """What `grant` will ask the authorizer for; nothing where it will raise `InvalidScope`."""
    try:
        return _well_formed(parse_scopes(scopes)[: settings.TOKENS_MAX_SCOPES])
    except InvalidScope:
        return []


def _well_formed(asked: Sequence[Access]) -> list[Access]:
    return [access for access in asked if access.is_well_formed]


def _says_the_same(recorded: Sequence[Access], granted: Sequence[Access]) -> bool:
    return [(each, each.meta) for each in recorded] == [(each, each.meta) for each in granted]


def _kept(
    authorizer: Authorizer, identity: Identity | None, asked: Sequence[Access], why: AccessForbidden
) -> str:
    """What is told of a request that is refused as a whole, which is kept."""
    denied = [
        lacking
        for access in asked
        if why.name in ("", access.name) and (lacking := _lacking(access, [])) is not None
    ][:_MOST_EXPLAINED]
    reasons = {access.name: str(why) for access in denied}
    told = authorizer.keep_denied(identity, denied, reasons) if denied else {}
    return next(iter(told.values()), str(why))


def _explained(
    authorizer: Authorizer,
    identity: Identity | None,
    asked: Sequence[Access],
    granted: Sequence[Access],
) -> dict[str, str]:
    """Why what was asked for is not granted, which is kept: the registry says it when it refuses
    it.
    """
    refused = [lacking for access in asked if (lacking := _lacking(access, granted)) is not None]
    if identity is None or not refused:
        return {}
    refused = refused[:_MOST_EXPLAINED]
    found = authorizer.explain(identity, refused)
    reasons = {name: reason[:_LONGEST_REASON] for name, reason in found.items()}
    return dict(authorizer.keep_denied(identity, refused, reasons))


def _lacking(access: Access, granted: Sequence[Access]) -> Access | None:
    """What of an access to an image was asked for and is not granted."""
    if access.type != "repository" or not access.is_well_formed:
        return None
    got = {action for each in granted if each.name == access.name for action in each.actions}
    return None if "*" in got else access.limited_to({"pull", "push", "delete"} - got)


def _bearer(identity: Identity | None) -> Bearer:
    if identity is None:
        return Bearer("", "none")
    # The registry sends it back with its events, which then tell the credential too.
    shown = {"credential": identity.credential} if identity.credential else {}
    user = {**identity.user_info, **shown} if identity.user_info else None
    return Bearer(identity.subject, identity.auth_type, user, identity.credential)

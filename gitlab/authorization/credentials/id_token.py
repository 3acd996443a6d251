"""An ID token of an issuer that a project or group trusts, with the trust's name beside it."""

from __future__ import annotations

import logging

from gitlab.access_tokens import credentials
from gitlab.accounts import failed_logins
from gitlab.authorization.principals import TrustedIssuerPrincipal
from gitlab.trusted_issuers import checking, services
from gitlab.trusted_issuers.checking import TrustRow
from gitlab.trusted_issuers.id_tokens import RefusedToken
from tokens.authorizer import Identity, InvalidCredentials

log = logging.getLogger("gitlab.trusted_issuers")

AUTH_TYPE = "id_token"


def identify(
    username: str, secret: str, *, client_ip: str, exchange: bool = False
) -> Identity | None:
    """The trust, with what it allows. The reason of a refusal is in the log and nowhere else.

    `exchange`: the ID token is used up. One that its issuer has not signed counts as a guess.
    """
    pk = checking.named(username)
    if pk is None:
        return None
    trust = checking.find(pk)
    try:
        if trust is None:
            raise RefusedToken("there is no such trust")
        services.use(trust, secret, exchange=exchange, client_ip=client_ip)
    except RefusedToken as error:
        log.warning("an ID token is refused for %s: %s", username, error)
        if not error.is_proven:
            failed_logins.note_token(secret, client_ip)
        raise InvalidCredentials("no ID token that this trust takes") from error
    return _identity_of(trust)


def _identity_of(trust: TrustRow) -> Identity:
    return Identity(
        subject=trust.username,
        auth_type=AUTH_TYPE,
        user_info={
            "token_type": AUTH_TYPE,
            "username": trust.username,
            "trusted_issuer_id": trust.id,
        },
        principal=TrustedIssuerPrincipal.of(trust),
        credential=credentials.of_trusted_issuer(trust.id),
    )

"""An ID token of an issuer that a project or group trusts, with the trust's name beside it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from gitlab.access_tokens import checks, credentials
from gitlab.accounts import failed_logins
from gitlab.authorization.principals import TrustedIssuerPrincipal
from gitlab.trusted_issuers import checking, services
from gitlab.trusted_issuers.checking import Checked, TrustRow
from gitlab.trusted_issuers.id_tokens import RefusedToken
from gitlab.trusted_issuers.models import username_of
from tokens.authorizer import Identity, InvalidCredentials

log = logging.getLogger("gitlab.trusted_issuers")

AUTH_TYPE = "id_token"


@dataclass(frozen=True)
class Proven:
    """An ID token that meets its trust, and has not been used by that."""

    trust: TrustRow
    checked: Checked
    secret: str
    client_ip: str

    @property
    def identity(self) -> Identity:
        """The trust, with what it allows."""
        return Identity(
            subject=self.trust.username,
            auth_type=AUTH_TYPE,
            user_info={
                "token_type": AUTH_TYPE,
                "username": self.trust.username,
                "trusted_issuer_id": self.trust.id,
            },
            principal=TrustedIssuerPrincipal.of(self.trust),
            credential=credentials.of_trusted_issuer(self.trust.id),
            ends_at=checks.end_of(self.trust.expires_at),
        )

    def use(self, *, exchange: bool = False) -> None:
        """Note its use, as a password or to `exchange` it. Raises `InvalidCredentials`."""
        with _refusing(self.trust.id, self.secret, self.client_ip):
            services.note_use(self.trust, self.checked, exchange=exchange, client_ip=self.client_ip)


def identify(username: str, secret: str, *, client_ip: str) -> Identity | None:
    """The trust, with what it allows; the ID token counts as used."""
    pk = checking.named(username)
    if pk is None:
        return None
    proven = prove(pk, secret, client_ip=client_ip)
    proven.use()
    return proven.identity


def prove(pk: int, secret: str, *, client_ip: str) -> Proven:
    """Hold an ID token against a trust. Raises `InvalidCredentials`.

    The reason of a refusal is in the log and nowhere else. A token that its issuer has not signed
    counts as a guess.
    """
    with _refusing(pk, secret, client_ip):
        trust = checking.find(pk)
        if trust is None:
            raise RefusedToken("there is no such trust")
        return Proven(trust, checking.check(trust, secret), secret, client_ip)


@contextlib.contextmanager
def _refusing(pk: int, secret: str, client_ip: str) -> Iterator[None]:
    try:
        yield
    except RefusedToken as error:
        log.warning("an ID token is refused for %s: %s", username_of(pk), error)
        if not error.is_proven:
            failed_logins.note_token(secret, client_ip)
        raise InvalidCredentials("no ID token that this trust takes") from error

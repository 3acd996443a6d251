"""A deploy token of a project or group, with its own user name beside it."""

from __future__ import annotations

from gitlab.access_tokens import checks, credentials, deploy_tokens
from gitlab.access_tokens.checks import registry_abilities
from gitlab.accounts import failed_logins
from gitlab.authorization.principals import DeployTokenPrincipal
from gitlab.authorization.refusals import Concerned
from tokens.authorizer import Identity, InsufficientCredentials, InvalidCredentials

AUTH_TYPE = "deploy_token"


def identify(username: str, secret: str, *, client_ip: str) -> Identity | None:
    """The token itself, with what its scopes carry. Its right text is no guess, whatever else."""
    if not deploy_tokens.looks_like_one(secret):
        return None
    token = deploy_tokens.find(secret)
    if token is None:
        failed_logins.note_token(secret, client_ip)
        raise InvalidCredentials("unknown token")
    concerned = Concerned(
        credentials.of_deploy_token(token.id),
        project_pk=token.project_id,
        namespace_pk=token.namespace_id,
        name=token.label,
    )
    if not token.is_usable or username != token.login_name:
        raise InvalidCredentials(
            "expired, revoked, or with another name beside it", concerned=concerned
        )
    abilities = registry_abilities(token.scopes)
    if not abilities:
        raise InsufficientCredentials("the token has no scope for images", concerned=concerned)
    deploy_tokens.note_use(token, client_ip)
    return Identity(
        subject=token.username,
        auth_type=AUTH_TYPE,
        user_info={
            "token_type": AUTH_TYPE,
            "username": token.login_name,
            "deploy_token_id": token.id,
        },
        principal=DeployTokenPrincipal(token, abilities, token.project_id, token.namespace_id),
        credential=credentials.of_deploy_token(token.id),
        ends_at=checks.end_of(token.expires_at),
    )

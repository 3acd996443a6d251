"""The token of a CI job, which calls itself ``gitlab-ci-token``."""

from __future__ import annotations

from tokens.authorizer import Identity, InvalidCredentials

USERNAME = "gitlab-ci-token"


def identify(username: str, secret: str, *, client_ip: str) -> Identity | None:
    """Refused for this name: no job is known here. A job that is over is no guess and counts
    nowhere.
    """
    if username != USERNAME:
        return None
    raise InvalidCredentials("job tokens are not known here")

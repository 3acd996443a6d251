"""How a registry token names what was shown for it, so that both end together."""

from __future__ import annotations


def of_token(pk: int) -> str:
    """A personal, project or group access token."""
    return f"access_token:{pk}"


def of_deploy_token(pk: int) -> str:
    """A deploy token."""
    return f"deploy_token:{pk}"


def of_job(pk: int) -> str:
    """A job's token."""
    return f"job:{pk}"


def of_trusted_issuer(pk: int) -> str:
    """An ID token that met a trust."""
    return f"trusted_issuer:{pk}"


def of_runner(pk: int) -> str:
    """A runner's token, which asks for jobs alone."""
    return f"runner:{pk}"

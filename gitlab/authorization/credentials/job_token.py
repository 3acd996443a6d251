"""The token of a CI job, which calls itself ``gitlab-ci-token``."""

from __future__ import annotations

from gitlab.access_tokens import credentials, job_tokens
from gitlab.authorization.principals import JobPrincipal
from gitlab.authorization.refusals import Concerned
from tokens.authorizer import Identity, InvalidCredentials

USERNAME = "gitlab-ci-token"
AUTH_TYPE = "build"
"""GitLab's word."""


def identify(username: str, secret: str, *, client_ip: str) -> Identity | None:
    """The job, as who started it. A job that is over is no guess and counts nowhere."""
    if username != USERNAME and not job_tokens.looks_like_one(secret):
        return None
    job = job_tokens.find(secret) if username == USERNAME else None
    if job is None or not job.is_usable:
        concerned = (
            Concerned(
                credentials.of_job(job.id), job.owner.pk, job.project_id, name=job.owner.label
            )
            if job
            else None
        )
        raise InvalidCredentials(
            "no job, one that is over, or with another name beside it", concerned=concerned
        )
    person = job.owner
    return Identity(
        subject=person.username,
        auth_type=AUTH_TYPE,
        user_info={
            "token_type": AUTH_TYPE,
            "username": person.username,
            "user_id": person.pk,
        },
        principal=JobPrincipal(person, job.project_id),
        credential=credentials.of_job(job.id),
        ends_at=job.ends_at.timestamp(),
    )

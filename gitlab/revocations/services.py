"""Ending registry tokens before their time. Call it in the transaction that takes a right away.

A registry token lives for ten minutes by what was right when it was asked for. Whoever loses a
right must not keep it for that long: the registry is told by a job, at once and until it has heard,
and the next request with such a token is answered 401. docker then asks for another, by the new
rules.

What is ended too much costs one more request for a token, and what is ended too little is a right
that somebody has lost: so a path means everybody's tokens there, and all of what is below it.
"""

from __future__ import annotations

from gitlab.jobs import enqueue
from gitlab.revocations.models import Revocation

TASK = "workers.tasks.tell_revocations"


def end_tokens(*, credential: str = "", subject: str = "", path: str = "") -> None:
    """Have registry tokens end that were made of a credential, for a person, or about a path.

    `credential` is as the token's claim names it, `subject` a user name; with `path` the subject's
    tokens at and below it, without a subject everybody's.
    """
    Revocation.objects.create(credential=credential, subject=subject, path=path)
    enqueue.on_commit(TASK)

"""The durable parts of uploads: a row for each, so that the thousandth costs what the first did."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from registry.models import UploadPart, UploadSession
from registry.services import database
from registry.storage.base import Part

_ADD = """
INSERT INTO registry_uploadpart (session_id, "offset", name, size, digest)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_OF = """
SELECT name, size, digest FROM registry_uploadpart
WHERE session_id = %s AND "offset" < %s ORDER BY "offset"
"""


def add(session: UploadSession, part: Part, send: database.Together) -> None:
    """Count a part at the session's offset, together with what moves that."""
    send(_ADD, [session.pk, session.offset, part.name, part.size, part.digest])


def of(session: UploadSession) -> list[Part]:
    """The parts that make up the session's bytes up to its offset, in order.

    Raises `FileNotFoundError` where another request has ended it meanwhile.
    """
    if not session.offset:
        return []
    found = [Part(*row) for row in database.rows(_OF, [session.pk, session.offset])]
    if sum(part.size for part in found) != session.offset:
        raise FileNotFoundError(f"the parts of upload {session.pk}")
    return found


def forget_of(session: UploadSession, send: database.Together) -> None:
    """Remove the rows of a session's parts, together with what ends it."""
    send("DELETE FROM registry_uploadpart WHERE session_id = %s", [session.pk])


def forget(sessions: Collection[uuid.UUID]) -> None:
    """Remove the rows of the parts of `sessions`, in the transaction that ends these."""
    UploadPart.objects.filter(session_id__in=list(sessions)).delete()


def end(sessions: Collection[uuid.UUID]) -> None:
    """Remove sessions with their parts: the rows alone, bytes are the caller's."""
    with database.atomic():
        # First the sessions: who appends to one holds it, and has added its part when it is free.
        UploadSession.objects.filter(pk__in=list(sessions)).delete()
        forget(sessions)

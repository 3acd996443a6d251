"""Tags: names that point at manifests, as intervals with a past."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Substr
from django.utils import timezone

from registry import digest as digests
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, Repository, Review, Tag
from registry.services import database, events, repositories
from registry.services.garbage import reviews
from registry.tag_order import sort_key

# No name is empty, so that the first page needs no query of its own.
# The repository is found first, so that no planner sorts all of its tags for one page.
_PAGE = """
SELECT name FROM registry_tag WHERE name > %s AND ended_at IS NULL
AND repository_id = (SELECT id FROM registry_repository WHERE name = %s AND closed_at IS NULL)
ORDER BY name LIMIT %s
"""
_CURRENT = """
SELECT id, manifest_id, digest FROM registry_tag
WHERE repository_id = {} AND name = %s AND ended_at IS NULL
"""
_BY_NAME = "(SELECT id FROM registry_repository WHERE name = %s AND closed_at IS NULL)"
_END = "UPDATE registry_tag SET ended_at = %s, ended_by = %s WHERE id = %s"
_POINT = """
INSERT INTO registry_tag
(repository_id, name, sort_key, manifest_id, digest, size, dated_at, started_at, started_by,
restored_at, restored_by, ended_by)
SELECT %s, %s, %s, id, %s, content_size, COALESCE(image_created_at, %s), %s, %s, %s, %s, ''
FROM registry_manifest WHERE id = %s
"""
MAX_AT_ONCE = 100
"""Tags that one push sets. The specification asks for ten at least."""

_COSIGN_KINDS = ("sig", "att", "sbom")
_STEM = len("sha256-") + 64
"""Characters before the kind. A tag for a sha512 would be longer than tags may be."""

_SIGNATURE = {
    # The range is looked up in the index of names.
    "name__gt": "sha256-",
    "name__lt": "sha256.",
    "rest__in": [f".{kind}" for kind in _COSIGN_KINDS],
}
NO_SIGNATURE = (
    "NOT (t.name > 'sha256-' AND t.name < 'sha256.'"
    f" AND SUBSTR(t.name, {_STEM + 1}) IN ('.sig', '.att', '.sbom'))"
)
"""SQL: of the tags ``t`` those that are none by which cosign finds what belongs to an image."""

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)


def is_tag(text: str) -> bool:
    """Whether `text` follows the grammar of tags."""
    return _TAG.fullmatch(text) is not None


def check(name: str) -> str:
    """`name` where it follows the grammar of tags. Raises TAG_INVALID."""
    if not is_tag(name):
        raise RegistryError(Code.TAG_INVALID)
    return name


def check_all(names: Iterable[str]) -> tuple[str, ...]:
    """`names`, each once and in their order. Raises TAG_INVALID, for too many with 414."""
    found = tuple(dict.fromkeys(check(name) for name in names))
    if len(found) > MAX_AT_ONCE:
        raise RegistryError(Code.TAG_INVALID, f"a push sets at most {MAX_AT_ONCE} tags", status=414)
    return found


def page(repository: str, last: str, limit: int) -> list[str]:
    """The names after `last` in byte order, one more than `limit` where there are more.

    Raises NAME_UNKNOWN.
    """
    names = database.names(_PAGE, [last, repository, limit + 1])
    if not names:
        repositories.get_id(repository)
    return names


def point(
    repository_id: int,
    name: str,
    manifest_id: int,
    digest: str,
    actor: Actor,
    *,
    restored: Tag | None = None,
) -> str:
    """Let the tag `name` point at a manifest; the digest at which it pointed before it moved.

    That is "" for a tag that is new, and for one that stays where it is. With the interval that is
    `restored`, it keeps the time of the push and who pushed.

    In a transaction that holds the repository. Raises DENIED where a rule keeps it where it is, or
    keeps `actor` from pushing it.
    """
    current = database.one(_CURRENT.format("%s"), [repository_id, name])
    send = database.send_alone
    return move(repository_id, name, current, manifest_id, digest, actor, send, restored=restored)


def ask(repository: str, name: str, send: database.Together) -> database.Sent:
    """What an open tag points at, if there is one: to be given to `move`."""
    return send(_CURRENT.format(_BY_NAME), [repository, name])


def move(  # noqa: PLR0913 - from where, and to where
    repository_id: int,
    name: str,
    current: tuple[Any, ...] | None,
    manifest_id: int,
    digest: str,
    actor: Actor,
    send: database.Together,
    *,
    restored: Tag | None = None,
) -> str:
    """As `point`, from what the repository's holder was told by `ask`; sent with other statements.

    Raises DENIED.
    """
    actor.rules.refuse_push([name])
    now, replaced = timezone.now(), ""
    if current is not None:
        tag_id, before, replaced = current
        if before == manifest_id:
            return ""
        actor.rules.refuse_move(name)
        send(_END, [now, actor.name, tag_id])
        if before is not None:
            reviews.queue(Review.Kind.MANIFEST, [before], "tag moved", send=send)
    began: tuple[object, ...] = (now, actor.name, None, None)
    if restored is not None:
        began = (restored.started_at, restored.started_by, now, actor.name)
    key = sort_key(name)
    send(_POINT, [repository_id, name, key, digest, began[0], *began, manifest_id])
    return replaced


def delete(repository: str, name: str, actor: Actor) -> None:
    """Take a tag away; what it pointed at stays until nothing else holds it.

    Raises MANIFEST_UNKNOWN, NAME_UNKNOWN, UNSUPPORTED, and DENIED where a rule protects it.
    """
    repositories.require_deletion()
    with database.atomic():
        repository_id = repositories.hold(repository)
        found = Tag.objects.filter(repository_id=repository_id, name=name, ended_at=None)
        current = found.first() if is_tag(name) else None
        if current is None:
            raise RegistryError(Code.MANIFEST_UNKNOWN, f"there is no tag {name}", tag=name)
        actor.rules.refuse_deletion([name])
        Tag.objects.filter(pk=current.pk).update(ended_at=timezone.now(), ended_by=actor.name)
        if current.manifest_id is not None:
            reviews.queue(Review.Kind.MANIFEST, [current.manifest_id], "tag deleted")
        events.record(Event.Action.DELETE, repository, actor, tag=name, digest=current.digest)


def signed_by(name: str) -> str | None:
    """The digest of the image to which cosign ties what a tag of this name points at, if any."""
    stem, _, kind = name.rpartition(".")
    digest = stem.replace("-", ":", 1)
    return digest if kind in _COSIGN_KINDS and digests.is_digest(digest) else None


def of_signature(digest: str) -> str:
    """The tag by which cosign finds the signatures of a manifest."""
    return f"{digest.replace(':', '-')}.sig"


def without_signatures(found: QuerySet[Tag]) -> QuerySet[Tag]:
    """Those of some tags that are none by which cosign finds what belongs to an image."""
    return found.alias(rest=Substr("name", _STEM + 1)).exclude(**_SIGNATURE)


def only_signatures(found: QuerySet[Tag]) -> QuerySet[Tag]:
    """Those of some tags by which cosign finds what belongs to an image."""
    return found.alias(rest=Substr("name", _STEM + 1)).filter(**_SIGNATURE)


def signatures_of(manifests: Sequence[tuple[int, str]]) -> list[Tag]:
    """The open tags by which cosign finds what belongs to manifests.

    Those are given as a repository's id and a digest, at most a few hundred.
    """
    names = [
        (repository_id, f"{digest.replace(':', '-')}.{kind}")
        for repository_id, digest in manifests
        for kind in _COSIGN_KINDS
    ]
    ids = database.ids_of_pairs("registry_tag", "name", names, "AND ended_at IS NULL")
    return list(Tag.objects.filter(pk__in=ids).order_by("pk"))


def end_signatures(
    repositories: Mapping[int, Repository], manifests: Sequence[tuple[int, str]], cause: str = ""
) -> None:
    """End the tags by which cosign finds what belongs to manifests, which have gone.

    Older cosign ties a signature to an image by nothing but such a name; no other tag is meant.
    In a transaction that holds the repositories.
    """
    for tag in signatures_of(manifests):
        Tag.objects.filter(pk=tag.pk).update(ended_at=timezone.now())
        if tag.manifest_id is not None:
            reviews.queue(
                Review.Kind.MANIFEST, [tag.manifest_id], "signed image removed", cause=cause
            )
        name = repositories[tag.repository_id].name
        events.record(Event.Action.DELETE, name, Actor(), tag=tag.name, digest=tag.digest)


def history(
    repository_id: int,
    name: str,
    limit: int,
    *,
    last: int = 0,
    before: dt.datetime | None = None,
) -> list[Tag]:
    """The intervals of a tag, the latest first, behind that with the id `last` where one is given.

    Those that began `before` a moment, where one is given. One more than `limit` where there are
    more.
    """
    found = Tag.objects.filter(repository_id=repository_id, name=name)
    if last:
        found = found.filter(pk__lt=last)
    if before is not None:
        found = found.alias(began=Coalesce("restored_at", "started_at")).filter(began__lt=before)
    return list(found.order_by("-pk")[: limit + 1])

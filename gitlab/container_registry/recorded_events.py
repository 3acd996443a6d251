"""What people and their machines do through the registry's API goes on record by its events.

Each push of a tag is a row, with what the tag pointed at before; deletions and manifests without a
tag are gathered, as many as were read at once. What GitLab's own side asked of the registry is left
out, since whoever asked for it was recorded there.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from gitlab.accounts.models import User
from gitlab.audit import origin
from gitlab.audit.services import record
from gitlab.container_registry.client.responses import Happened
from gitlab.container_registry.image_paths import ImagePath, image_paths
from gitlab.container_registry.labels import labels
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project

NAMED = 100
"""Tags or digests that one row names."""

_RECORDED = {"push", "delete"}


class _Doer(NamedTuple):
    """Implements `principals.Actor`."""

    person_id: int | None
    username: str
    label: str


@dataclass(frozen=True)
class _Said:
    """What the token said by which something happened."""

    user_id: int | None
    credential: str


def record_all(events: Sequence[Happened]) -> None:
    """Record what `events` tell of. Call it once for each, in a transaction."""
    told = [event for event in events if event.action in _RECORDED and event.user]
    if not told:
        return
    images = image_paths({event.path for event in told})
    known = ContainerRepository.objects.filter(path__in={event.path for event in told})
    rows = {row.path: row for row in known.select_related("project")}
    doers = _Doers(told)
    for (action, path, user), group in groupby(told, lambda e: (e.action, e.path, e.user)):
        target = rows.get(path) or _unknown(path, images.get(path))
        _record(action, target, path, doers.of(user, group_of := list(group)), group_of)


def _record(
    action: str,
    target: ContainerRepository | None,
    path: str,
    done: tuple[_Doer, str],
    events: Sequence[Happened],
) -> None:
    by, credential = done
    common: dict[str, Any] = {
        "by": by,
        "target": target,
        "path": path,
        "address": "registry",
        "credential": credential,
        "at": events[0].at,
    }
    tagged = [event for event in events if event.tag]
    if action == "push":
        for event in tagged:
            moved: dict[str, Any] = {"replaced": event.replaced} if event.replaced else {}
            record(
                "tag.push", **common | {"at": event.at}, tag=event.tag, digest=event.digest, **moved
            )
    else:
        for part in _parts([event.tag for event in tagged]):
            record("tag.delete", **common, tags=part)
    untagged = [event.digest for event in events if not event.tag and event.digest]
    for part in _parts(list(dict.fromkeys(untagged))):
        record(f"manifest.{action}", **common, digests=part)
    if any(not event.tag and not event.digest for event in events):
        record("container_repository.empty", **common)


def _parts(names: list[str]) -> list[list[str]]:
    return [names[start : start + NAMED] for start in range(0, len(names), NAMED)]


def _unknown(path: str, image: ImagePath | None) -> ContainerRepository | None:
    """An image whose row is gone by now, as a target: of its project, if that is there."""
    if image is None or image.project is None:
        return None
    project = Project(pk=image.project.id, namespace_id=image.namespace.id)
    return ContainerRepository(path=path, project=project)


class _Doers:
    """Who did it, by what the token said; the names of all in two queries."""

    def __init__(self, events: Sequence[Happened]) -> None:
        self.said = {event.user: read_user(event.user) for event in events}
        ids = {said.user_id for said in self.said.values() if said.user_id}
        self.people = User.objects.in_bulk(ids)
        self.labels = labels(event.actor for event in events)

    def of(self, user: str, events: Sequence[Happened]) -> tuple[_Doer, str]:
        """Who, and by which credential."""
        said, name = self.said[user], events[0].actor
        person = self.people.get(said.user_id or 0)
        label = person.label if person else self.labels.get(name, name)
        return _Doer(said.user_id, name, label), said.credential


def read_user(user: str) -> _Said:
    """The claim ``user`` of a token of ours, as the registry gives it back.

    Nobody decides by it, so that its signature is not checked again: its key may be gone by now.
    """
    try:
        body = user.split(".")[1]
        claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        info = claims["user_info"]
    except (IndexError, KeyError, TypeError, ValueError):
        info = {}
    if not isinstance(info, Mapping):
        info = {}
    user_id = info.get("user_id")
    credential = info.get("credential") or origin.PASSWORD
    return _Said(user_id if isinstance(user_id, int) else None, str(credential)[:80])

"""From an event of the record to a line that people read: who did what to which image, and when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gitlab.activity import reading
from gitlab.audit.models import AuditEvent
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.tags import is_name
from gitlab.container_registry.views.image_pages import counted, image_url

NAMED = 5
"""Tags or digests that one line names."""

_VERBS = {
    "tag.push": ("pushed", "upload", ""),
    "manifest.push": ("pushed without a tag", "upload", ""),
    "tag.delete": ("deleted", "trash-2", "bad"),
    "tag.delete_in_bulk": ("asked to delete by criteria", "trash-2", "bad"),
    "manifest.delete": ("deleted by digest", "trash-2", "bad"),
    "container_repository.schedule_deletion": ("asked to delete the image", "trash-2", "bad"),
    "container_repository.delete": ("deleted the image", "trash-2", "bad"),
    "container_repository.delete_failed": ("could not delete the image", "circle-alert", "bad"),
    "container_repository.empty": ("emptied the image", "trash-2", "bad"),
    "cleanup.finished": ("cleaned up", "brush-cleaning", "bad"),
    "tag.restore": ("brought back", "undo-2", "good"),
    "container_repository.restore": ("brought back the image", "undo-2", "good"),
    "container_repository.keep": ("kept the image", "undo-2", "good"),
    "cleanup.undo": ("undid a cleanup", "undo-2", "good"),
    "member.add": ("added", "users", ""),
    "member.update": ("changed the role of", "users", ""),
    "member.remove": ("removed", "users", "bad"),
}


@dataclass(frozen=True)
class Line:
    """What happened. `names` are tags or people, of `count`; a tag was `moved_from` a digest."""

    who: str
    verb: str
    icon: str
    tone: str
    names: Sequence[str]
    count: int
    path: str
    url: str
    tag_url: str
    digest: str
    moved_from: str
    at: dt.datetime

    @property
    def more(self) -> int:
        """Names that are left out."""
        return self.count - len(self.names)


def lines_of(events: Iterable[AuditEvent]) -> list[Line]:
    """The lines of events, with links to the images that are (still) there. One query."""
    events = list(events)
    ids = {
        event.target_id
        for event in events
        if event.target_type == "containerrepository" and event.target_id
    }
    images = ContainerRepository.objects.filter(pk__in=ids).select_related("project").in_bulk()
    return [_line(event, images.get(event.target_id or 0)) for event in events]


def _line(event: AuditEvent, image: ContainerRepository | None) -> Line:
    details = event.details if isinstance(event.details, dict) else {}
    # An id may be that of another kind of row.
    image = image if event.target_type == "containerrepository" else None
    verb, icon, tone = _VERBS.get(event.action, (event.action, "scroll-text", ""))
    names = _names(event.action, details)
    is_tag = event.action in ("tag.push", "tag.restore") and len(names) == 1
    return Line(
        who=event.actor_name or "Berth",
        verb=verb,
        icon=icon,
        tone=tone,
        names=names[:NAMED],
        count=len(names),
        path=event.target_path,
        url=image_url(image) if image else "",
        tag_url=image_url(image, "tag", tag=names[0])
        if image and is_tag and is_name(names[0])
        else "",
        digest=str(details.get("digest") or ""),
        moved_from=str(details.get("replaced") or ""),
        at=event.at,
    )


def _names(action: str, details: dict[str, Any]) -> list[str]:
    if action == "tag.push":
        return [str(details.get("tag", ""))]
    if action in reading.MEMBERS:
        return [str(details.get("member", ""))]
    found = details.get("tags") or details.get("digests") or details.get("deleted") or []
    if isinstance(found, list):
        return [_short(str(each)) for each in found]
    return [counted(found, "tag")] if isinstance(found, int) else []


def _short(name: str) -> str:
    algorithm, colon, rest = name.partition(":")
    return rest[:12] if colon and algorithm.startswith("sha") else name

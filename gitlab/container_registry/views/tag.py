"""One tag: what it points at, what is inside of that, and what it pointed at before."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gitlab.container_registry import repositories, timeline
from gitlab.container_registry import tags as services
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import TagDetails
from gitlab.container_registry.labels import labelled
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.tags import Described
from gitlab.container_registry.timeline import Past, Timeline
from gitlab.container_registry.views import inside
from gitlab.container_registry.views.compare import compare_url
from gitlab.container_registry.views.image_pages import image_page, image_url, note_trouble
from gitlab.container_registry.views.tags import kind_of, marks_for, rights
from gitlab.namespaces.policies import Ability
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in

_PLATFORMS = 3


@require_safe
@or_sign_in
def detail(request: HttpRequest, path: str, pk: int, tag: str) -> HttpResponse:
    """What a tag points at, how to pull it, what is inside, what it pointed at before."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    context = {
        **image_page(image, request.user, (tag, "")),
        **rights(image),
        "tag": tag,
        "marks": marks_for(image, [tag]).get(tag),
        "restore_url": image_url(image, "tag_restore", tag=tag),
        "delete_url": f"{image_url(image, 'tags_delete')}?{urlencode({'selected': tag})}",
    }
    try:
        context |= _described(request, image, tag)
    except (RegistryUnavailable, RegistryRefused) as error:
        context["trouble"] = note_trouble(request, image, error)
    return render(request, "container_registry/tag.html", context)


def _described(request: HttpRequest, image: ContainerRepository, tag: str) -> dict[str, Any]:
    registry = clients.for_pages()
    asked = request.GET.get("behind", "")
    behind = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 19 else 0
    day = _day(request.GET.get("on", ""))
    found = services.describe(image, tag, behind=behind, day=day, registry=registry)
    details = found.details
    context: dict[str, Any] = {
        "found": found,
        "details": details,
        "kind": kind_of(details) if details else "",
        "pull": client_commands.pull(image.path, tag=tag),
        **_timeline(image, tag, found.past, details),
    }
    if details:
        context["pull_digest"] = client_commands.pull(image.path, digest=details.digest)
        context |= _inside(request, registry, image, found)
    return context


def _inside(
    request: HttpRequest, registry: Registry, image: ContainerRepository, found: Described
) -> dict[str, Any]:
    if found.details is None or found.manifest is None:
        return {}
    after = inside.after_in(request.GET)
    digest, overview = found.details.digest, found.overview
    looked = inside.look(registry, image, digest, found.manifest, after, overview)
    context = {
        **inside.shown(image, looked),
        **inside.belongings(registry, image, looked, overview),
    }
    if looked.manifest.is_image or looked.manifest.is_index:
        return context | inside.links(image, digest, found.name)
    context["pull"] = client_commands.pull_artifact(image.path, tag=found.name)
    context["pull_digest"] = client_commands.pull_artifact(image.path, digest=digest)
    if looked.chart:
        context["pull"] = client_commands.pull_chart(image.path, found.name)
    return context


def _day(text: str) -> dt.date | None:
    """The day that a date field holds, None where that is none."""
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        return None


def _timeline(
    image: ContainerRepository, tag: str, past: Timeline, details: TagDetails | None
) -> dict[str, Any]:
    known = labelled([each.interval for each in past.shown], "pushed_by", "ended_by", "restored_by")
    lines = [
        _past(image, tag, each, interval, details)
        for each, interval in zip(past.shown, known, strict=True)
    ]
    newest = past.day is None and not past.behind
    return {
        "history": lines,
        "day": past.day,
        "today": timeline.today(),
        "ended": lines[0]["past"] if lines and not details and newest else None,
        "older_url": f"?{urlencode({'behind': past.older})}#history" if past.older else "",
        "newest_url": "" if newest else f"{image_url(image, 'tag', tag=tag)}#history",
    }


def _past(
    image: ContainerRepository, tag: str, each: Past, interval: Any, details: TagDetails | None
) -> dict[str, Any]:
    is_current = interval.until is None
    points_there = details is not None and details.digest == interval.digest
    may_push = Ability.PUSH_IMAGE in image.project.abilities and not image.is_being_deleted
    known = each.details
    platforms = [str(platform) for platform in known.platforms] if known else []
    more = known.platforms_count - len(platforms[:_PLATFORMS]) if known else 0
    return {
        "past": interval,
        "known": known,
        "platforms": [(name.removeprefix("linux/"), name) for name in platforms[:_PLATFORMS]],
        "more_platforms": f"+{more}" if more > 0 else "",
        "url": inside.page_of(image, interval.digest) if known else "",
        "size_bytes": known.size_bytes if known else interval.size_bytes,
        "is_current": is_current,
        "compare_url": compare_url(image, before=interval.digest, to=tag)
        if details and known and not points_there
        else "",
        "may_restore": may_push and interval.is_restorable and not is_current and not points_there,
    }

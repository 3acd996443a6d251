"""What registries say was pushed: so that every image that is there is known, with its last push.

A token outlives the rights that it was issued for. Whoever got one before an image was deleted may
push the image again afterwards, and the authorizer, which notes images, is not asked. The registry
tells: Berth's own by its events, which the worker reads; another one by its notifications.

Told twice or too late is told once: what is not there any more is not noted again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from gitlab.accounts.models import User
from gitlab.container_registry import repositories
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.image_paths import ImagePath, image_paths
from gitlab.container_registry.models import ContainerRepository
from gitlab.refusals import NotFound

log = logging.getLogger(__name__)

_PLACES_AT_ONCE = 100


@dataclass(frozen=True)
class Push:
    """Something was pushed to the image `path`; `by` is the token's subject, "" if it had none.

    `digest` is that of the manifest, "" where what told of the push came after its tag.
    """

    path: str
    at: dt.datetime
    by: str = ""
    digest: str = ""


def note(pushes: Iterable[Push], registry: Registry) -> list[str]:
    """Note the last push of each image, and images that were not known. Answers the paths of these.

    Images of no project are left out. Raises `RegistryUnavailable`, `RegistryRefused`.
    """
    latest: dict[str, Push] = {}
    for push in pushes:
        if push.path not in latest or push.at > latest[push.path].at:
            latest[push.path] = push
    unknown = [push for push in latest.values() if not _note_time(push)]
    noted = []
    for start in range(0, len(unknown), _PLACES_AT_ONCE):
        part = unknown[start : start + _PLACES_AT_ONCE]
        found = image_paths(push.path for push in part)
        noted += [push.path for push in part if _note_image(push, found.get(push.path), registry)]
    return noted


def _note_time(push: Push) -> bool:
    """Whether the image is known. Its last push is the latest that was ever told."""
    # A registry's clock that is ahead would otherwise hide every later push.
    at = min(push.at, timezone.now())
    row = ContainerRepository.objects.filter(path=push.path)
    older = Q(last_published_at__isnull=True) | Q(last_published_at__lt=at)
    return bool(row.filter(older).update(last_published_at=at)) or row.exists()


def _note_image(push: Push, image: ImagePath | None, registry: Registry) -> bool:
    if image is None or image.project is None:
        log.warning("%s was pushed, and there is no project for it", push.path)
        return False
    # The row is gone by now, or was never there: what the registry has now was pushed since.
    if not _is_there(push, registry):
        return False
    by = User.objects.filter(username=push.by).first() if push.by else None
    try:
        repositories.note(image.project, push.path, by=by)
    except NotFound:
        return False
    log.info("%s is known again by its push", push.path)
    return _note_time(push)


def _is_there(push: Push, registry: Registry) -> bool:
    """Whether the registry has the image: a tag of it, or else the manifest that was pushed.

    docker's registry notifies of a manifest before it writes the tag: whoever asks for tags right
    then finds none, and a notification that was answered is never repeated.
    """
    details = registry.repository(push.path, size=False)
    if details is not None and details.tags_count:
        return True
    return bool(push.digest) and registry.manifest(push.path, push.digest) is not None

"""Whether the registry keeps what no tag points at any more: a project's setting.

The project says it, each image remembers what the registry was told of it, and a job tells the
registry where the two differ: after the setting was changed, and for images that are new.
"""

from __future__ import annotations

from django.db.models import F

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.models import ContainerRepository

_AT_ONCE = 200


def tell(registry: Registry | None = None) -> int:
    """Tell the registry what it does not know yet; of how many images.

    Raises `RegistryUnavailable`, `RegistryRefused`. May run twice.
    """
    own = (registry or clients.for_jobs()).own
    if own is None:
        return 0
    differing = ContainerRepository.objects.filter(status=None).exclude(
        keeps_untagged=F("project__keep_untagged")
    )
    told = 0
    for row in differing.select_related("project").order_by("pk")[:_AT_ONCE]:
        keep = row.project.keep_untagged
        # One without an image yet is told when there is one.
        if own.keep_untagged(row.path, keep):
            told += ContainerRepository.objects.filter(pk=row.pk).update(keeps_untagged=keep)
    return told

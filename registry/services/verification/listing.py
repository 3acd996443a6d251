"""What manifests list and no row says: what they name then counts for nothing when it comes.

Older versions wrote no row for a layer that need not be here (with ``urls``, or of a type that is
not distributed). A push of the manifest writes them all; so does a round of verification, for those
that nobody pushes again.
"""

from __future__ import annotations

from registry import manifest as parsing
from registry.errors import RegistryError
from registry.models import Manifest, ManifestChild
from registry.services import database, manifests, repositories


def unrecorded(manifest_id: int, media_type: str, payload: bytes) -> set[str]:
    """The digests that a manifest lists, and no row of it."""
    try:
        listed = parsing.parse(payload, media_type).listed
    except RegistryError:
        return set()  # It was taken when less was refused; nobody can say how it is read.
    if not listed:
        return set()
    rows = ManifestChild.objects.filter(parent_id=manifest_id)
    return listed.difference(rows.values_list("digest", flat=True))


def record(manifest_id: int) -> int:
    """Write the rows that a manifest lacks; how many.

    With the repository held: a collector that judges what is listed comes before or after.
    """
    found = Manifest.objects.filter(pk=manifest_id)
    with database.atomic():
        repository_id = found.values_list("repository_id", flat=True).first()
        if repository_id is None or repositories.hold_by_id(repository_id) is None:
            return 0
        row = found.values_list("media_type", "payload").first()
        if row is None:
            return 0
        missing = unrecorded(manifest_id, row[0], bytes(row[1]))
        manifests.list_digests(repository_id, manifest_id, missing)
    return len(missing)

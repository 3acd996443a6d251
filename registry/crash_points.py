"""Points where a test lets the process die, as a power cut would: at once, with nothing tidied.

``BERTH__CRASH_AT`` names one of them. `gitlab.config` accepts it with ``BERTH__DEBUG`` only, so
that no installation that others reach has it.
"""

from __future__ import annotations

import os

from django.conf import settings

POINTS = (
    "part_created",
    "part_half_written",
    "part_synced",
    "part_counted",
    "blob_linked",
    "blob_rows_written",
    "blob_renamed",
    "blob_in_place",
    "blob_committed",
    "manifest_stored",
    "manifest_referred",
    "tag_pointed",
    "manifest_committed",
    "gc_rows_deleted",
    "gc_bytes_unlinked",
    "upload_row_deleted",
    "blob_quarantined",
)
EXIT_CODE = 137
"""What a shell says of a process that was killed with -9."""


def reached(point: str) -> None:
    """Die here if the settings say so."""
    if settings.CRASH_AT and point == settings.CRASH_AT:
        os._exit(EXIT_CODE)

"""What the registry answers, as values. Unknown keys are ignored; times are in UTC."""

from __future__ import annotations

from gitlab.container_registry.client.responses.deletions import (
    DeletedTag,
    Freed,
    TagDeletion,
)
from gitlab.container_registry.client.responses.events import (
    Ended,
    Happened,
)
from gitlab.container_registry.client.responses.garbage import (
    Collected,
    Garbage,
    Held,
    Holder,
    ReviewRun,
)
from gitlab.container_registry.client.responses.manifests import (
    ManifestDetails,
    Part,
    Platform,
    Referrer,
    ReferrersPage,
    SharedBlob,
    StoredManifest,
)
from gitlab.container_registry.client.responses.reading import (
    MAX_MARKS,
    MAX_SIZE,
    MAX_TEXT,
    Object,
    moment,
    read_json,
    word,
)
from gitlab.container_registry.client.responses.storage import (
    Arriving,
    PushedTag,
    Share,
    Stored,
    UnderWay,
    Used,
)
from gitlab.container_registry.client.responses.tags import (
    AgesPage,
    DailyPulls,
    FoundTag,
    Interval,
    RepositoryDetails,
    TagAge,
    TagDetails,
    TagsPage,
)

__all__ = [
    "MAX_MARKS",
    "MAX_SIZE",
    "MAX_TEXT",
    "AgesPage",
    "Arriving",
    "Collected",
    "DailyPulls",
    "DeletedTag",
    "Ended",
    "FoundTag",
    "Freed",
    "Garbage",
    "Happened",
    "Held",
    "Holder",
    "Interval",
    "ManifestDetails",
    "Object",
    "Part",
    "Platform",
    "PushedTag",
    "Referrer",
    "ReferrersPage",
    "RepositoryDetails",
    "ReviewRun",
    "Share",
    "SharedBlob",
    "Stored",
    "StoredManifest",
    "TagAge",
    "TagDeletion",
    "TagDetails",
    "TagsPage",
    "UnderWay",
    "Used",
    "moment",
    "read_json",
    "word",
]

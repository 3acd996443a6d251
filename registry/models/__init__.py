"""What exists and who refers to what. The database is the truth; the store only holds bytes.

::

    Repository ◄── Tag ─────────────► Manifest ◄── ManifestChild   (lists a digest)
        ▲                               ▲  ▲
        │                               │  └────── ManifestBlob ──► RepositoryBlob ──► Blob
        ├── RepositoryBlob              └ subject_digest                  (may serve)   (bytes)
        └── UploadSession ◄── UploadPart

    Review     what may have become garbage, and when to look
    Tombstone  bytes about to be unlinked            Receipt  what was removed, and why
    Event      what happened, in order              FormerPath  what a rename has left
    GarbageLease  nothing is collected while it lasts    Revocation  what ended tokens early
    Verification  how far a verification has come   Finding  what it found wrong
    ManifestPulls, DailyPulls, Counting  how often what was pulled
    Usage ◄── UsageTotal   how many bytes lie at and below a path that a quota limits

Foreign keys are `DO_NOTHING`: services delete in their own order, and the database refuses, at the
commit, to lose a row that another one refers to. A manifest can't outlive its right to a blob, and
an open tag can't lose its manifest, whatever a service gets wrong.
"""

from __future__ import annotations

from registry.models.content import (
    Blob,
    FormerPath,
    Manifest,
    ManifestBlob,
    ManifestChild,
    Repository,
    RepositoryBlob,
    Tag,
)
from registry.models.counts import (
    Counting,
    DailyPulls,
    ManifestPulls,
    Usage,
    UsageTotal,
)
from registry.models.events import (
    Event,
    Revocation,
)
from registry.models.garbage import (
    Finding,
    GarbageLease,
    Receipt,
    Review,
    Tombstone,
    Verification,
)
from registry.models.lengths import (
    CAUSE_LENGTH,
    DIGEST_LENGTH,
    NAME_LENGTH,
    TAG_LENGTH,
)
from registry.models.uploads import (
    UploadPart,
    UploadSession,
)

__all__ = [
    "CAUSE_LENGTH",
    "DIGEST_LENGTH",
    "NAME_LENGTH",
    "TAG_LENGTH",
    "Blob",
    "Counting",
    "DailyPulls",
    "Event",
    "Finding",
    "FormerPath",
    "GarbageLease",
    "Manifest",
    "ManifestBlob",
    "ManifestChild",
    "ManifestPulls",
    "Receipt",
    "Repository",
    "RepositoryBlob",
    "Review",
    "Revocation",
    "Tag",
    "Tombstone",
    "UploadPart",
    "UploadSession",
    "Usage",
    "UsageTotal",
    "Verification",
]

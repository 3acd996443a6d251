"""The registry's addresses, with the endpoint ids of OCI distribution 1.1 beside them."""

from __future__ import annotations

from django.urls import path

import registry.converters  # noqa: F401  (the kinds of pieces below)
from registry import health
from registry.gitlab_v1 import urls as gitlab_v1
from registry.v2.base import UnknownView
from registry.v2.blobs import BlobView
from registry.v2.lists import CatalogView, ReferrersView, TagListView
from registry.v2.manifests import ManifestView
from registry.v2.uploads import UploadsView, UploadView
from registry.v2.version import VersionView

_unknown = UnknownView()

# The paths that every pull takes stand first: addresses are tried in order.
urlpatterns = [
    path("v2/<name:name>/manifests/<reference:reference>", ManifestView()),  # end-3, 7a, 7b, 9
    path("v2/<name:name>/blobs/<reference:digest>", BlobView()),  # end-2, 10
    path("v2/", VersionView()),  # end-1
    path("v2", VersionView()),
    path("v2/<name:name>/blobs/uploads/", UploadsView()),  # end-4a, 4b, 4c, 11
    path("v2/<name:name>/blobs/uploads/<reference:session>", UploadView()),  # end-5, 6, 13, 14
    path("v2/<name:name>/tags/list", TagListView()),  # end-8a, 8b
    path("v2/<name:name>/referrers/<reference:digest>", ReferrersView()),  # end-12a, 12b
    path("v2/_catalog", CatalogView()),
    path("v2/<name:rest>", _unknown),
    *gitlab_v1.urlpatterns,
    path("-/liveness", health.liveness),
    path("-/health", health.health),
    path("-/readiness", health.readiness),
    path("debug/health", health.debug_health),
]

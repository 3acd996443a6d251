"""The registry's addresses, with the endpoint ids of OCI distribution 1.1 beside them."""

from __future__ import annotations

from django.urls import include, path, re_path

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
_of_clients = [
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
]

urlpatterns = [
    *_of_clients,
    # A registry that is configured as "https://host/" makes clients ask for //v2/. Not by a
    # redirect: they would follow it without the body, or not at all.
    re_path(r"^/+", include(_of_clients)),
    *gitlab_v1.urlpatterns,
    path("-/liveness", health.liveness),
    path("-/health", health.health),
    path("-/readiness", health.readiness),
    path("debug/health", health.debug_health),
]

# Where this is all that a process serves, and for its tests.
handler400 = "registry.v2.base.bad_request"
handler404 = "registry.v2.base.page_not_found"
handler500 = "registry.v2.base.server_error"

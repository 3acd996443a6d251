"""The addresses of this package's pages, as GitLab's. None where the registry is off."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from gitlab.container_registry import converters  # noqa: F401  (registers image_tag, digest)
from gitlab.container_registry.views import (
    compare,
    deletion,
    files,
    guides,
    images,
    inside,
    notifications,
    tag,
    tags,
    undo,
    untagged,
)
from gitlab.namespaces import converters as paths  # noqa: F401  (registers full_path)

app_name = "container_registry"

_PROJECT = "<full_path:path>/container_registry"
_IMAGE = f"{_PROJECT}/<int:pk>"

urlpatterns: list[URLPattern | URLResolver] = []
if settings.CONTAINER_REGISTRY_ENABLED:
    urlpatterns = [
        path("api/v4/container_registry_event/events", notifications.receive, name="events"),
        path(_IMAGE, tags.index, name="repository"),
        path(f"{_IMAGE}/progress", images.progress, name="progress"),
        path(f"{_IMAGE}/delete", deletion.image, name="delete"),
        path(f"{_IMAGE}/restore", undo.restore, name="restore"),
        path(f"{_IMAGE}/untagged", untagged.index, name="untagged"),
        path(f"{_IMAGE}/tags/delete", deletion.tags, name="tags_delete"),
        path(f"{_IMAGE}/tags/<image_tag:tag>", tag.detail, name="tag"),
        path(f"{_IMAGE}/tags/<image_tag:tag>/restore", undo.point_back, name="tag_restore"),
        path(f"{_IMAGE}/manifests/<digest:digest>", inside.manifest, name="manifest"),
        path(f"{_IMAGE}/manifests/<digest:digest>/json", inside.document, name="document"),
        path(f"{_IMAGE}/compare", compare.compare, name="compare"),
        path(f"{_IMAGE}/compare/files", compare.compare_files, name="compare_files"),
        path(f"{_IMAGE}/compare/progress", compare.compare_progress, name="compare_progress"),
        path(f"{_IMAGE}/manifests/<digest:digest>/files/<digest:layer>", files.file, name="file"),
        # After those of an image: a tag may be called container_registry too.
        path(f"{_PROJECT}/deleted", undo.deleted, name="deleted"),
        path(f"{_PROJECT}/help", guides.index, name="help"),
        path(f"{_PROJECT}/help/pull-secret.yaml", guides.pull_secret, name="pull_secret"),
        path(_PROJECT, images.index, name="index"),
    ]

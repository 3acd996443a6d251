"""Ours, beyond GitLab: how two images differ, and on request their files."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import not_found
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import missing, repository_for
from gitlab.api.parameters import Parameters, choice, text
from gitlab.container_registry.comparison import services
from gitlab.container_registry.comparison.services import Comparison
from gitlab.container_registry.layers import requests
from gitlab.container_registry.layers.comparing import ChangeKind
from gitlab.container_registry.layers.models import FileJob
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody


class PairParameters(Parameters):
    """Which two images."""

    before = text(required=True, max_length=512, help_text="A tag or digest of this image.")
    after = text(required=True, max_length=512, help_text="A tag or digest, of this image or that.")
    other = text(max_length=512, help_text="The path of another image that has `after`.")
    platform = text(max_length=255, help_text="Of indexes: the platform, `linux/arm64` say.")


class FilesParameters(PairParameters):
    """Which two images, and which part of what differs."""

    change = choice(["added", "removed", "changed"], help_text="`changed` unless another is given.")
    page = serializers.IntegerField(required=False, min_value=1, max_value=10_000)


class SideEntity(Entity):
    """One of the two images."""

    path = serializers.CharField(source="repository.path")
    reference = serializers.CharField()
    digest = serializers.CharField()
    platform = serializers.CharField()
    size = serializers.IntegerField(source="size_bytes", help_text="In bytes, each layer once.")


class FieldEntity(Entity):
    """Something that both say differently; empty where one says nothing of it."""

    name = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class LayerEntity(Entity):
    """A layer, and its number in each image, from 1; 0 where it is not in it."""

    digest = serializers.CharField(source="part.digest")
    size = serializers.IntegerField(source="part.size_bytes")
    change = serializers.ChoiceField(["common", "gone", "new"])
    before = serializers.IntegerField()
    after = serializers.IntegerField()


class PackageEntity(Entity):
    """A package that is not the same in both; versions are empty where it is not there."""

    kind = serializers.CharField(help_text="`deb`, `pypi`, …; empty where it is not said.")
    name = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class PackagesEntity(Entity):
    """How the packages differ by the SBOM of each: the first 200, and how many there are."""

    added = serializers.IntegerField(source="added_count")
    removed = serializers.IntegerField(source="removed_count")
    changed = serializers.IntegerField(source="changed_count")
    packages = PackageEntity(many=True, source="changed")


class ComparisonEntity(Entity):
    """How two images differ."""

    before = SideEntity()
    after = SideEntity()
    config = FieldEntity(many=True)
    environment = FieldEntity(many=True)
    labels = FieldEntity(many=True)
    layers = LayerEntity(many=True, source="layers.layers")
    packages = PackagesEntity(allow_null=True, help_text="Null where not both images have an SBOM.")
    cut = serializers.BooleanField(
        source="is_cut", help_text="There are more variables or labels than were compared."
    )


class FileEntity(Entity):
    """A path in which two images differ; kinds are empty where there is nothing."""

    path = serializers.CharField()
    before_kind = serializers.CharField()
    after_kind = serializers.CharField()
    before_size = serializers.IntegerField(source="before_bytes")
    after_size = serializers.IntegerField(source="after_bytes")
    before_layer = serializers.IntegerField()
    after_layer = serializers.IntegerField()
    what = serializers.ListField(child=serializers.CharField())


class FilesEntity(Entity):
    """Where the comparison of the files stands, and the largest of those that differ."""

    status = serializers.ChoiceField(["scheduled", "ongoing", "finished", "failed"])
    read_bytes = serializers.IntegerField(source="done_bytes")
    total_bytes = serializers.IntegerField()
    failure_reason = serializers.CharField()
    finished_at = Moment(allow_null=True)
    totals = serializers.DictField(help_text="By kind of change, how many and how many bytes.")
    cut = serializers.BooleanField(source="is_cut", help_text="There are more than are compared.")
    files = serializers.SerializerMethodField()

    def get_files(self, job: FileJob) -> list[dict[str, Any]]:
        """A hundred paths, empty until the job is finished."""
        changes = requests.changes_of(job, *self.context["part"])
        return list(FileEntity(changes, many=True).data)


def _pair(
    reader: Anybody, row: ContainerRepository, given: dict[str, Any]
) -> tuple[ContainerRepository, Comparison]:
    """The other image and how they differ. Raises `ApiError` 404."""
    with missing("Container Repository"):
        other = services.other_repository(reader, row, given.get("other", ""))
    with missing("Image"):
        return other, services.compare(
            (row, given["before"]),
            (other, given["after"]),
            platform=given.get("platform", ""),
        )


class Compare(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/compare``"""

    section = "Container registry, beyond GitLab"
    visitors = True

    @operation(
        "Compare two images", takes=PairParameters, gives=ComparisonEntity, refuses=[404, 503]
    )
    def get(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """Configuration, labels and layers, by what their manifests say. Of indexes one platform is
        compared: the first that both have, unless one is asked for.
        """
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        _, found = _pair(request.user, row, given)
        return Response(ComparisonEntity(found).data)


class CompareFiles(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/compare/files``"""

    section = "Container registry, beyond GitLab"
    visitors = True

    @operation(
        "Show how the files of two images differ",
        takes=FilesParameters,
        gives=FilesEntity,
        refuses=[404, 503],
    )
    def get(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """What the job has found that somebody has asked for; 404 where nobody has."""
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        other, found = _pair(request.user, row, given)
        job = requests.of_two(row, found.before.digest, other, found.after.digest)
        if job is None:
            raise not_found("Comparison")
        requests.touch(job)
        return _answer(job, given)

    @operation(
        "Compare the files of two images",
        takes=PairParameters,
        gives=FilesEntity,
        status=202,
        refuses=[404, 429, 503],
    )
    def post(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """By a job that reads the layers which have not been read yet."""
        by = person(request)
        row = repository_for(by, repository_id, Ability.READ_IMAGE, project=id)
        other, found = _pair(by, row, given)
        job = requests.request(
            by, row, found.before.digest, other=other, other_digest=found.after.digest
        )
        return _answer(job, given, status=202)


def _answer(job: FileJob, given: dict[str, Any], status: int = 200) -> Response:
    part = (given.get("change") or str(ChangeKind.CHANGED), given.get("page", 1) - 1)
    return Response(FilesEntity(job, context={"part": part}).data, status=status)

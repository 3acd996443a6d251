"""Which version this is."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab import version
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity

VERSION = "18.9.0-berth"
"""The version of GitLab whose API this is like: clients compare it with what they need."""

REVISION = version.VERSION
"""Our own version."""


class VersionEntity(Entity):
    """The version of GitLab's API that this is like, and what this is."""

    version = serializers.CharField()
    revision = serializers.CharField()


class KasEntity(Entity):
    """The agent server of GitLab's, which is not here."""

    enabled = serializers.BooleanField()
    externalUrl = serializers.CharField(allow_null=True)  # noqa: N815 - GitLab's name
    externalK8sProxyUrl = serializers.CharField(allow_null=True)  # noqa: N815
    version = serializers.CharField(allow_null=True)


class MetadataEntity(VersionEntity):
    """The version, and which parts of GitLab there are."""

    kas = KasEntity()
    enterprise = serializers.BooleanField()


def _version() -> dict[str, Any]:
    return {"version": VERSION, "revision": REVISION}


class Version(Endpoint):
    """``/version``"""

    section = "Metadata"
    reads_with = ("api", "read_api", "read_user")

    @operation("Show the version", gives=VersionEntity)
    def get(self, request: Request) -> Response:
        """The version of GitLab whose API this is like; `revision` is Berth's own version."""
        return Response(_version())


class Metadata(Endpoint):
    """``/metadata``"""

    section = "Metadata"
    reads_with = ("api", "read_api", "read_user")

    @operation("Show the metadata", gives=MetadataEntity)
    def get(self, request: Request) -> Response:
        """The version, and which of GitLab's parts there are."""
        none = dict.fromkeys(("externalUrl", "externalK8sProxyUrl", "version"))
        return Response({**_version(), "kas": {"enabled": False, **none}, "enterprise": False})

"""The groups that are invited to a project or group, as both are shown with them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from gitlab.api.fields import Entity
from gitlab.namespaces import group_links
from gitlab.namespaces.models import Routable
from gitlab.principals import Anybody


class SharedGroupEntity(Entity):
    """A group that is invited."""

    group_id = serializers.IntegerField()
    group_name = serializers.CharField(source="group.name")
    group_full_path = serializers.CharField(source="group.full_path")
    group_access_level = serializers.IntegerField(source="group_access")
    expires_at = serializers.DateField(allow_null=True)


def shared_with(user: Anybody, routable: Routable) -> list[dict[str, Any]]:
    """Those of them that `user` may see."""
    found = group_links.links_of(user, routable)
    return list(SharedGroupEntity(found, many=True).data)

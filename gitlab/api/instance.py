"""The installation itself: its settings, as far as they have a meaning here, and its numbers."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab import application_settings
from gitlab.accounts.models import User
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import ApiError
from gitlab.api.fields import Entity
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project


class SettingsEntity(Entity):
    """GitLab's settings that have a meaning here."""

    signup_enabled = serializers.BooleanField()
    domain_allowlist = serializers.ListField(child=serializers.CharField())
    require_admin_approval_after_user_signup = serializers.BooleanField()
    deactivate_dormant_users = serializers.BooleanField()
    deactivate_dormant_users_period = serializers.IntegerField(help_text="Days.")
    password_authentication_enabled_for_web = serializers.BooleanField()
    minimum_password_length = serializers.IntegerField()
    max_login_attempts = serializers.IntegerField(
        help_text="Of a name at an address, after which it has to wait there; 0 is no limit."
    )
    require_two_factor_authentication = serializers.BooleanField()
    two_factor_grace_period = serializers.IntegerField(help_text="Hours.")
    session_expire_delay = serializers.IntegerField(help_text="Minutes.")
    require_personal_access_token_expiry = serializers.BooleanField()
    max_personal_access_token_lifetime = serializers.IntegerField(
        allow_null=True, help_text="Days; null is no limit."
    )
    default_project_visibility = serializers.CharField()
    default_group_visibility = serializers.CharField()
    container_registry_token_expire_delay = serializers.IntegerField(help_text="Minutes.")
    throttle_authenticated_api_enabled = serializers.BooleanField()
    throttle_authenticated_api_requests_per_period = serializers.IntegerField()
    throttle_authenticated_api_period_in_seconds = serializers.IntegerField()
    throttle_unauthenticated_api_enabled = serializers.BooleanField()
    throttle_unauthenticated_api_requests_per_period = serializers.IntegerField()
    throttle_unauthenticated_api_period_in_seconds = serializers.IntegerField()
    push_creates_projects = serializers.BooleanField(help_text="Ours.")
    undo_window_in_seconds = serializers.IntegerField(help_text="Ours.")


class ApplicationSettings(Endpoint):
    """``/application/settings``"""

    section = "Installation"
    administrators = True

    @operation("Show the settings", gives=SettingsEntity)
    def get(self, request: Request) -> Response:
        """As the file and the environment of this node say them."""
        return Response(application_settings.as_gitlab())

    @operation("Change the settings", gives=SettingsEntity, refuses=[405])
    def put(self, request: Request) -> Response:
        """Not possible: a node reads its settings when it starts."""
        raise ApiError(
            405, {"message": "405 Not Allowed - settings are changed in gitlab.toml"}, Allow="GET"
        )


class CountsEntity(Entity):
    """Counts, as texts with commas, as GitLab gives them."""

    users = serializers.CharField()
    active_users = serializers.CharField()
    projects = serializers.CharField()
    groups = serializers.CharField()
    container_repositories = serializers.CharField(help_text="Ours.")
    forks = serializers.CharField()
    issues = serializers.CharField()
    merge_requests = serializers.CharField()
    notes = serializers.CharField()
    snippets = serializers.CharField()
    ssh_keys = serializers.CharField()
    milestones = serializers.CharField()


_NOT_HERE = ("forks", "issues", "merge_requests", "notes", "snippets", "ssh_keys", "milestones")


class Statistics(Endpoint):
    """``/application/statistics``"""

    section = "Installation"
    administrators = True

    @operation("Show the statistics", gives=CountsEntity)
    def get(self, request: Request) -> Response:
        """How many there are of each."""
        users = User.objects.all()
        counts = {
            "users": users.count(),
            "active_users": users.filter(state=User.State.ACTIVE).count(),
            "projects": Project.objects.filter(pending_delete_at__isnull=True).count(),
            "groups": Namespace.objects.filter(
                kind=Namespace.Kind.GROUP, pending_delete_at__isnull=True
            ).count(),
            "container_repositories": ContainerRepository.objects.count(),
            **dict.fromkeys(_NOT_HERE, 0),
        }
        return Response({name: f"{count:,}" for name, count in counts.items()})

"""People: oneself, and for administrators everybody."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.accounts.models import User
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Moment, UserBasic
from gitlab.api.lookups import user_called
from gitlab.namespaces import policies, user_access


class UserFull(UserBasic):
    """A person, as they and administrators know them."""

    email = serializers.CharField()
    public_email = serializers.SerializerMethodField()
    commit_email = serializers.CharField(source="email")
    created_at = Moment()
    is_admin = serializers.BooleanField()
    last_sign_in_at = Moment(source="last_login", allow_null=True)
    current_sign_in_at = Moment(source="last_login", allow_null=True)
    confirmed_at = Moment(source="created_at")
    external = serializers.BooleanField()
    two_factor_enabled = serializers.SerializerMethodField()
    can_create_group = serializers.SerializerMethodField()
    can_create_project = serializers.SerializerMethodField()
    projects_limit = serializers.SerializerMethodField()
    identities = serializers.SerializerMethodField()
    bot = serializers.SerializerMethodField()
    locked = serializers.SerializerMethodField()
    namespace_id = serializers.SerializerMethodField()

    def get_public_email(self, user: User) -> str:
        """Empty: nobody's address is shown to others."""
        return ""

    def get_two_factor_enabled(self, user: User) -> bool:
        """False: there are no second factors yet."""
        return False

    def get_can_create_group(self, user: User) -> bool:
        """Whether they may open a group at the top."""
        return policies.may_create_top_level_group(user_access.of_person(user))

    def get_can_create_project(self, user: User) -> bool:
        """Whether they may make projects: who is external makes none."""
        return user.is_superuser or not user.external

    def get_projects_limit(self, user: User) -> int:
        """GitLab's number for "without a limit"."""
        return 100_000

    def get_identities(self, user: User) -> list[dict[str, Any]]:
        """Empty: nobody signs in by a provider yet."""
        return []

    def get_bot(self, user: User) -> bool:
        """Whether it is a machine's account."""
        return False

    def get_locked(self, user: User) -> bool:
        """False: failed logins are refused by address, and lock nobody out."""
        return False

    def get_namespace_id(self, user: User) -> int | None:
        """The id of their personal namespace."""
        return user.namespace.pk if hasattr(user, "namespace") else None


class CurrentUser(Endpoint):
    """``/user``"""

    section = "Users"
    reads_with = ("api", "read_api", "read_user")

    @operation("Show oneself", gives=UserFull)
    def get(self, request: Request) -> Response:
        """Whoever the credential belongs to."""
        return Response(UserFull(user_called(person(request).pk)).data)

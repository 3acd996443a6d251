"""Who belongs to a group or project, and with which level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.accounts.models import User
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import ApiError, BadParameter, not_found
from gitlab.api.fields import Moment, UserBasic
from gitlab.api.lookups import missing, routable_for, user_called
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Commas, Day, Parameters, identifier, text
from gitlab.namespaces import members
from gitlab.namespaces.members import Membership
from gitlab.namespaces.models import AccessLevel, Routable
from gitlab.namespaces.policies import Ability
from gitlab.refusals import Invalid


class MemberEntity(UserBasic):
    """A person with their level."""

    access_level = serializers.SerializerMethodField()
    created_at = serializers.SerializerMethodField()
    expires_at = serializers.SerializerMethodField()
    created_by = serializers.SerializerMethodField()
    membership_state = serializers.SerializerMethodField()

    def to_representation(self, found: Membership) -> Any:
        """The person, and what the membership says."""
        self._found = found
        return super().to_representation(found.user)

    def get_access_level(self, user: Any) -> int:
        """10 guest, 20 reporter, 30 developer, 40 maintainer, 50 owner."""
        return int(self._found.level)

    def get_created_at(self, user: Any) -> str | None:
        """Since when; null for the owner of a personal namespace."""
        member = self._found.member
        return Moment().to_representation(member.created_at) if member else None

    def get_expires_at(self, user: Any) -> str | None:
        """The first day on which it no longer holds."""
        return self._found.expires_at.isoformat() if self._found.expires_at else None

    @extend_schema_field(UserBasic(allow_null=True))
    def get_created_by(self, user: Any) -> Any:
        """Who added them."""
        member = self._found.member
        by = member.created_by if member else None
        return UserBasic(by).data if by else None

    def get_membership_state(self, user: Any) -> str:
        """GitLab's word for a member who needs no approval."""
        return "active"


class ListParameters(PageParameters):
    """Which members."""

    query = text(help_text="A part of the name or user name.")
    user_ids = Commas(child=identifier(), required=False)
    skip_users = Commas(child=identifier(), required=False)


class LevelParameters(Parameters):
    """A level, and until when."""

    access_level = serializers.ChoiceField(choices=AccessLevel.choices)
    expires_at = Day(
        required=False, allow_null=True, help_text="The first day on which it no longer holds."
    )


class AddParameters(LevelParameters):
    """Who, and with which level."""

    user_id = Commas(child=identifier(), required=False, max_length=100)
    username = Commas(child=serializers.CharField(), required=False, max_length=100)


def _asked(rows: QuerySet[User], given: Mapping[str, Any]) -> QuerySet[User]:
    if given.get("query"):
        wanted = given["query"].strip().lower()
        rows = rows.filter(Q(username__contains=wanted) | Q(name__icontains=wanted))
    if "user_ids" in given:
        rows = rows.filter(pk__in=given["user_ids"])
    if "skip_users" in given:
        rows = rows.exclude(pk__in=given["skip_users"])
    return rows


@contextmanager
def _already() -> Iterator[None]:
    """Within the block, somebody who is a member already is 409."""
    try:
        yield
    except Invalid as error:
        if error.reason == "taken":
            raise ApiError(409, {"message": "Member already exists"}) from error
        raise


def _shown(routable: Routable, user: User, *, inherited: bool = False) -> dict[str, Any]:
    found = members.members_of(routable, among=[user.pk], inherited=inherited)
    if not found:
        raise not_found()
    return dict(MemberEntity(found[0]).data)


class Members(Endpoint):
    """``/projects/:id/members`` and ``/groups/:id/members``"""

    section = "Members"
    of_both = True
    visitors = True
    inherited = False

    @operation("List members", takes=ListParameters, gives=MemberEntity, many=True, refuses=[404])
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those of the project or group itself."""
        return self._list(request, given, kind, id)

    def _list(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        routable = routable_for(request.user, kind, id, Ability.READ_MEMBERS)
        ids = members.user_ids_of(routable, inherited=self.inherited)
        rows = _asked(User.objects.filter(ids), given)
        page = page_of(request, given, rows, ["id"])
        here = [user.pk for user in page.rows]
        found = members.members_of(routable, among=here, inherited=self.inherited)
        found.sort(key=lambda one: one.user.pk)
        return page.response(MemberEntity(found, many=True).data)

    @operation(
        "Add a member", takes=AddParameters, gives=MemberEntity, status=201, refuses=[404, 409]
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """By id or by user name. For several at once the answer says only whether it worked."""
        by = person(request)
        routable = routable_for(by, kind, id, Ability.ADMIN_MEMBERS)
        names: list[int | str] = [*given.get("user_id", []), *given.get("username", [])]
        if not names or ("user_id" in given and "username" in given):
            raise BadParameter(
                "user_id, username are missing, exactly one parameter must be provided"
            )
        users = [user_called(name.lower() if isinstance(name, str) else name) for name in names]
        if len(users) == 1:
            with _already():
                self._add(by, routable, users[0], given)
            return Response(_shown(routable, users[0]), status=201)
        refused = {}
        for user in users:
            try:
                self._add(by, routable, user, given)
            except Invalid as error:
                refused[user.username] = " ".join(error.messages)
        body = {"status": "error", "message": refused} if refused else {"status": "success"}
        return Response(body, status=201)

    def _add(self, by: Any, routable: Routable, user: User, given: Mapping[str, Any]) -> None:
        members.add_member(by, routable, user, given["access_level"], given.get("expires_at"))


class AllMembers(Members):
    """``/projects/:id/members/all`` and ``/groups/:id/members/all``"""

    inherited = True
    http_method_names = ["get", "head"]

    @operation(
        "List members, inherited ones too",
        takes=ListParameters,
        gives=MemberEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Everybody who belongs here, each once with the highest level."""
        return self._list(request, given, kind, id)


class OneMember(Endpoint):
    """``/projects/:id/members/:user_id`` and ``/groups/:id/members/:user_id``"""

    section = "Members"
    of_both = True
    visitors = True

    @operation("Show a member", gives=MemberEntity, refuses=[404])
    def get(self, request: Request, kind: str, id: int | str, user_id: int) -> Response:
        """Somebody who belongs to the project or group itself."""
        routable = routable_for(request.user, kind, id, Ability.READ_MEMBERS)
        return Response(_shown(routable, user_called(user_id)))

    @operation("Change a member", takes=LevelParameters, gives=MemberEntity, refuses=[404, 409])
    def put(
        self, request: Request, given: dict[str, Any], kind: str, id: int | str, user_id: int
    ) -> Response:
        """Another level; another last day where one is given."""
        by = person(request)
        routable = routable_for(by, kind, id, Ability.ADMIN_MEMBERS)
        user = user_called(user_id)
        direct = members.members_of(routable, among=[user.pk], inherited=False)
        if not direct:
            raise not_found()
        expires_at = given.get("expires_at", direct[0].expires_at)
        members.update_member(by, routable, user, given["access_level"], expires_at)
        return Response(_shown(routable, user))

    @operation("Remove a member", status=204, refuses=[404, 409])
    def delete(self, request: Request, kind: str, id: int | str, user_id: int) -> Response:
        """Somebody else, or oneself."""
        by = person(request)
        needed = Ability.READ_MEMBERS if user_id == by.pk else Ability.ADMIN_MEMBERS
        routable = routable_for(by, kind, id, needed)
        with missing(""):
            members.remove_member(by, routable, user_called(user_id))
        return Response(status=204)


class OneOfAllMembers(Endpoint):
    """``/projects/:id/members/all/:user_id`` and ``/groups/:id/members/all/:user_id``"""

    section = "Members"
    of_both = True
    visitors = True

    @operation("Show a member, an inherited one too", gives=MemberEntity, refuses=[404])
    def get(self, request: Request, kind: str, id: int | str, user_id: int) -> Response:
        """Somebody who belongs here, with the highest level."""
        routable = routable_for(request.user, kind, id, Ability.READ_MEMBERS)
        return Response(_shown(routable, user_called(user_id), inherited=True))

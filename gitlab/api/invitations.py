"""Who is asked by mail to belong to a group or project."""

from __future__ import annotations

import datetime as dt
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.accounts.models import User
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import missing, routable_for, user_called
from gitlab.api.members import LevelParameters
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Commas, Day, Parameters, identifier, text
from gitlab.invitations import services
from gitlab.invitations.models import Invitation
from gitlab.namespaces import members
from gitlab.namespaces.models import AccessLevel, Routable
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Invalid


class InviteParameters(LevelParameters):
    """Whom, and with which level."""

    email = Commas(child=serializers.EmailField(), required=False, max_length=100)
    user_id = Commas(child=identifier(), required=False, max_length=100)


class ListParameters(PageParameters):
    """Which invitations."""

    query = text(help_text="A part of the address.")


class ChangeParameters(Parameters):
    """What shall be different."""

    access_level = serializers.ChoiceField(choices=AccessLevel.choices, required=False)
    expires_at = Day(
        required=False,
        allow_null=True,
        help_text="The first day on which the membership no longer holds.",
    )


class InvitationEntity(Entity):
    """An invitation that waits for somebody."""

    invite_email = serializers.CharField(source="email")
    access_level = serializers.IntegerField()
    created_at = Moment()
    expires_at = serializers.SerializerMethodField()
    user_name = serializers.SerializerMethodField()
    created_by_name = serializers.CharField(source="created_by.name")

    def get_expires_at(self, invitation: Invitation) -> str | None:
        """The first day on which the membership no longer holds."""
        return invitation.expires_at.isoformat() if invitation.expires_at else None

    def get_user_name(self, invitation: Invitation) -> str | None:
        """Null: whether somebody has an account with the address is not told."""
        return None


class OutcomeEntity(Entity):
    """Whether everybody was invited or added, and else why not, by address or id."""

    status = serializers.ChoiceField(choices=["success", "error"])
    message = serializers.DictField(child=serializers.CharField(), required=False)


class Invitations(Endpoint):
    """``/projects/:id/invitations`` and ``/groups/:id/invitations``"""

    section = "Members"
    of_both = True

    @operation(
        "List invitations", takes=ListParameters, gives=InvitationEntity, many=True, refuses=[404]
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those that wait for somebody."""
        by = person(request)
        routable = routable_for(by, kind, id, Ability.ADMIN_MEMBERS)
        rows = services.invitations_of(by, routable, search=given.get("query", ""))
        page = page_of(request, given, rows, ["id"])
        return page.response(InvitationEntity(page.rows, many=True).data)

    @operation(
        "Invite people", takes=InviteParameters, gives=OutcomeEntity, status=201, refuses=[404]
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Whose address is given gets a mail; whose id, is a member at once. Of an address that
        somebody has who is here already, an administrator makes a member at once too: to everybody
        else it is not told whose it is.
        """
        by = person(request)
        routable = routable_for(by, kind, id, Ability.ADMIN_MEMBERS)
        if not given.get("email") and not given.get("user_id"):
            raise BadParameter(
                "email, user_id are missing, at least one parameter must be provided"
            )
        what = given["access_level"], given.get("expires_at")
        refused = {}
        for name in [*given.get("email", []), *given.get("user_id", [])]:
            try:
                _ask(by, routable, name, *what)
            except Invalid as error:
                refused[str(name)] = " ".join(error.messages)
        body = {"status": "error", "message": refused} if refused else {"status": "success"}
        return Response(body, status=201)


def _ask(
    by: Person, routable: Routable, name: int | str, level: int, expires_at: dt.date | None
) -> None:
    user = user_called(name) if isinstance(name, int) else None
    if by.is_superuser and isinstance(name, str):
        user = User.objects.filter(email=name.lower()).first()
    if user is not None:
        members.add_member(by, routable, user, level, expires_at)
    else:
        services.invite(by, routable, str(name), level, expires_at)


class OneInvitation(Endpoint):
    """``/projects/:id/invitations/:email`` and ``/groups/:id/invitations/:email``"""

    section = "Members"
    of_both = True

    @operation(
        "Change an invitation", takes=ChangeParameters, gives=InvitationEntity, refuses=[404]
    )
    def put(
        self, request: Request, given: dict[str, Any], kind: str, id: int | str, email: str
    ) -> Response:
        """Another level, another last day of the membership. The link goes on."""
        by = person(request)
        found = self._find(by, kind, id, email)
        level = given.get("access_level", found.access_level)
        with missing(""):
            changed = services.change(by, found, level, given.get("expires_at", found.expires_at))
        return Response(InvitationEntity(changed).data)

    @operation("Take an invitation back", status=204, refuses=[404])
    def delete(self, request: Request, kind: str, id: int | str, email: str) -> Response:
        """Its link is over."""
        by = person(request)
        with missing(""):
            services.withdraw(by, self._find(by, kind, id, email))
        return Response(status=204)

    def _find(self, by: Person, kind: str, id: int | str, email: str) -> Invitation:
        routable = routable_for(by, kind, id, Ability.ADMIN_MEMBERS)
        with missing(""):
            return services.get_for(by, routable, email)

"""What administrators do with an account: let in, lock out, let rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.accounts import services
from gitlab.accounts.factors import services as factors
from gitlab.accounts.models import User
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity
from gitlab.api.lookups import user_called


class SuccessEntity(Entity):
    """That it worked."""

    message = serializers.CharField()


class ChangeState(Endpoint):
    """``/users/:id/block``, ``/unblock``, ``/ban``, ``/unban``, ``/deactivate``, ``/activate``"""

    section = "Users"
    administrators = True
    change: ClassVar[Callable[..., User]]

    def _change(self, request: Request, id: int | str) -> Response:
        type(self).change(user_called(id), by=person(request))
        return Response(True, status=201)


class Block(ChangeState):
    """``/users/:id/block``"""

    change = staticmethod(services.block)

    @operation("Block a person", gives=OpenApiTypes.BOOL, status=201, refuses=[400, 404])
    def post(self, request: Request, id: int | str) -> Response:
        """No sign-in, and no token works. `true` where that is so now."""
        return self._change(request, id)


class Unblock(ChangeState):
    """``/users/:id/unblock``"""

    change = staticmethod(services.unblock)

    @operation("Unblock a person", gives=OpenApiTypes.BOOL, status=201, refuses=[404])
    def post(self, request: Request, id: int | str) -> Response:
        """They come in again, with the tokens that they had."""
        return self._change(request, id)


class Ban(ChangeState):
    """``/users/:id/ban``"""

    change = staticmethod(services.block)

    @operation("Ban a person", gives=OpenApiTypes.BOOL, status=201, refuses=[400, 404])
    def post(self, request: Request, id: int | str) -> Response:
        """The same as blocking them: nothing here would have to be hidden besides."""
        return self._change(request, id)


class Unban(ChangeState):
    """``/users/:id/unban``"""

    change = staticmethod(services.unblock)

    @operation("Unban a person", gives=OpenApiTypes.BOOL, status=201, refuses=[404])
    def post(self, request: Request, id: int | str) -> Response:
        """The same as unblocking them."""
        return self._change(request, id)


class DisableTwoFactor(Endpoint):
    """``/users/:id/disable_two_factor``"""

    section = "Users"
    administrators = True

    @operation("Take a person's factors away", status=204, refuses=[400, 404])
    def patch(self, request: Request, id: int | str) -> Response:
        """Their password alone signs in until they set up new ones; their sessions end."""
        if not factors.remove_all(user_called(id), by=person(request)):
            raise BadParameter("two-factor authentication is not enabled for this user")
        return Response(status=204)


class Deactivate(ChangeState):
    """``/users/:id/deactivate``"""

    change = staticmethod(services.deactivate)

    @operation("Deactivate a person", gives=OpenApiTypes.BOOL, status=201, refuses=[400, 404, 409])
    def post(self, request: Request, id: int | str) -> Response:
        """Nothing of theirs works until they sign in to the pages again."""
        return self._change(request, id)


class Activate(ChangeState):
    """``/users/:id/activate``"""

    change = staticmethod(services.activate)

    @operation("Activate a person", gives=OpenApiTypes.BOOL, status=201, refuses=[404, 409])
    def post(self, request: Request, id: int | str) -> Response:
        """Ends a deactivation."""
        return self._change(request, id)


class ApproveUser(Endpoint):
    """``/users/:id/approve``"""

    section = "Users"
    administrators = True

    @operation("Approve a person", gives=SuccessEntity, status=201, refuses=[404, 409])
    def post(self, request: Request, id: int | str) -> Response:
        """Somebody who has registered may sign in."""
        sign_ups.approve(user_called(id), by=person(request))
        return Response({"message": "Success"}, status=201)


class RejectUser(Endpoint):
    """``/users/:id/reject``"""

    section = "Users"
    administrators = True

    @operation("Reject a person", gives=SuccessEntity, refuses=[404, 409])
    def post(self, request: Request, id: int | str) -> Response:
        """The account of somebody who has registered and was not approved is deleted."""
        sign_ups.reject(user_called(id), by=person(request))
        return Response({"message": "Success"})

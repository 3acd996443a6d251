"""People: oneself, and for administrators everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.accounts import services
from gitlab.accounts.factors import services as factors
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import ApiError, BadParameter, forbidden
from gitlab.api.fields import Moment, UserBasic
from gitlab.api.lookups import user_called
from gitlab.api.pagination import ordering as order_of
from gitlab.api.pagination import page_of, sorting
from gitlab.api.parameters import Parameters, choice, flag, moment, text
from gitlab.namespaces import policies, user_access
from gitlab.refusals import Invalid


class UserFull(UserBasic):
    """A person, as they and administrators know them."""

    email = serializers.CharField(read_only=True)
    public_email = serializers.SerializerMethodField()
    commit_email = serializers.CharField(source="email", read_only=True)
    created_at = Moment(read_only=True)
    is_admin = serializers.BooleanField(read_only=True)
    last_sign_in_at = Moment(source="last_login", allow_null=True, read_only=True)
    current_sign_in_at = Moment(source="last_login", allow_null=True, read_only=True)
    confirmed_at = Moment(source="created_at", read_only=True)
    external = serializers.BooleanField(read_only=True)
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
        """Whether their password alone signs nobody in."""
        return standing.of(user).has_factor

    def get_can_create_group(self, user: User) -> bool:
        """Whether they may open a group at the top."""
        may = policies.may_create_top_level_group(user_access.of_person(user))
        return may and not user.is_bot

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
        return user.is_bot

    def get_locked(self, user: User) -> bool:
        """False: failed logins are refused by address, and lock nobody out."""
        return False

    def get_namespace_id(self, user: User) -> int | None:
        """The id of their personal namespace."""
        return user.namespace.pk if hasattr(user, "namespace") else None


_ORDERS = {
    "id": ("id",),
    "name": ("name", "id"),
    "username": ("username",),
    "created_at": ("created_at", "id"),
}


class CurrentUser(Endpoint):
    """``/user``"""

    section = "Users"
    reads_with = ("api", "read_api", "read_user")

    @operation("Show oneself", gives=UserFull)
    def get(self, request: Request) -> Response:
        """Whoever the credential belongs to."""
        return Response(UserFull(user_called(person(request).pk)).data)


class ListParameters(sorting(list(_ORDERS))):  # type: ignore[misc]
    """Which people."""

    username = text(help_text="The whole user name.")
    search = text(help_text="A part of the name or user name; for administrators the address too.")
    active = flag()
    blocked = flag()
    external = flag()
    admins = flag(help_text="For administrators alone.")
    two_factor = choice(
        ["enabled", "disabled"], help_text="For administrators: who has a second factor."
    )
    created_after = moment()
    created_before = moment()


class _PasswordParameters(Parameters):
    name = text()
    email = text()
    admin = flag()
    external = flag()
    password = text(trim_whitespace=False)
    skip_confirmation = flag(help_text="Ignored: addresses are not confirmed here.")
    skip_reconfirmation = flag(help_text="Ignored: addresses are not confirmed here.")


class CreateParameters(_PasswordParameters):
    """A new person."""

    name = serializers.CharField()
    email = serializers.CharField()
    username = serializers.CharField()
    reset_password = flag(help_text="Without a password: they can't sign in until they get one.")
    force_random_password = flag(help_text="The same.")


class ChangeParameters(_PasswordParameters):
    """What shall be different."""

    username = text(help_text="Can't be changed: only the same is accepted.")


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the services are told."""
    found = {name: given[name] for name in ("name", "email", "external") if name in given}
    if given.get("password"):
        found["password"] = given["password"]
    if "admin" in given:
        found["is_superuser"] = given["admin"]
    return found


@contextmanager
def _taken() -> Iterator[None]:
    """Within the block, a name or an address that somebody has already is 409."""
    try:
        yield
    except Invalid as error:
        if error.reason == "taken":
            field = "Email" if "email" in error.error_dict else "Username"
            raise ApiError(409, {"message": f"{field} has already been taken"}) from error
        raise


def _is_admin(request: Request) -> bool:
    return bool(request.user.is_superuser)


class Users(Endpoint):
    """``/users``"""

    section = "Users"
    confirmed = ["POST"]
    reads_with = ("api", "read_api", "read_user")
    names = {"is_superuser": "admin"}

    @operation("List people", takes=ListParameters, gives=UserFull, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """Everybody. Only administrators get more than names."""
        everything = _is_admin(request)
        rows = _filtered(given, all_of_them=everything)
        page = page_of(request, given, rows, order_of(given, _ORDERS, "-id"))
        entity = UserFull if everything else UserBasic
        return page.response(entity(page.rows, many=True).data)

    @operation("Create a person", takes=CreateParameters, gives=UserFull, status=201, refuses=[409])
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """For administrators. No mail is sent."""
        if not _is_admin(request):
            raise forbidden()
        if not given.keys() & {"password", "reset_password", "force_random_password"}:
            raise BadParameter(
                "password, reset_password, force_random_password are missing,"
                " at least one parameter must be provided"
            )
        with _taken():
            user = services.create_user(
                username=given["username"], by=person(request), **_arguments(given)
            )
        return Response(UserFull(user_called(user.pk)).data, status=201)


def _filtered(given: Mapping[str, Any], *, all_of_them: bool) -> QuerySet[User]:
    rows = standing.read_along(User.objects.select_related("namespace"))
    if given.get("username"):
        rows = rows.filter(username=given["username"].lower())
    if given.get("search"):
        wanted = given["search"].strip().lower()
        where = Q(username__contains=wanted) | Q(name__icontains=wanted)
        rows = rows.filter(where | Q(email=wanted) if all_of_them else where)
    for name, state in (("active", User.State.ACTIVE), ("blocked", User.State.BLOCKED)):
        if given.get(name):
            rows = rows.filter(state=state)
    columns = {"external": "external", "created_after": "created_at__gt"}
    columns |= {"created_before": "created_at__lt"}
    if all_of_them:
        columns["admins"] = "is_superuser"
        if "two_factor" in given:
            rows = standing.limited_to(rows, has_factor=given["two_factor"] == "enabled")
    return rows.filter(**{column: given[name] for name, column in columns.items() if name in given})


class DeleteParameters(Parameters):
    """How."""

    hard_delete = flag(help_text="Ignored: projects are deleted or transferred first.")


class OneUser(Endpoint):
    """``/users/:id``"""

    section = "Users"
    confirmed = ["PUT", "DELETE"]
    reads_with = ("api", "read_api", "read_user")
    names = {"is_superuser": "admin"}

    @operation("Show a person", gives=UserFull, refuses=[404])
    def get(self, request: Request, id: int | str) -> Response:
        """Somebody. Only they and administrators get more than names."""
        user = user_called(id)
        everything = _is_admin(request) or user.pk == request.user.pk
        return Response((UserFull if everything else UserBasic)(user).data)

    @operation("Change a person", takes=ChangeParameters, gives=UserFull, refuses=[404, 409])
    def put(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """For administrators."""
        if not _is_admin(request):
            raise forbidden()
        user = user_called(id)
        if given.get("username", user.username).lower() != user.username:
            raise BadParameter("username can't be changed")
        with _taken():
            services.administer(user, by=person(request), **_arguments(given))
        return Response(UserFull(user_called(user.pk)).data)

    @operation("Delete a person", takes=DeleteParameters, status=204, refuses=[404, 409])
    def delete(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """For administrators. Somebody stays who has projects, or is the only owner of a group."""
        if not _is_admin(request):
            raise forbidden()
        services.delete_user(user_called(id), by=person(request))
        return Response(status=204)


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

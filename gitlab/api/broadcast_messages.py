"""Announcements, in GitLab's words broadcast messages: anybody reads them, administrators write.

Source: https://docs.gitlab.com/api/broadcast_messages/. Ours are banners for everybody on every
page; their looks are a level, which GitLab's themes stand for.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import not_found
from gitlab.api.fields import Entity, Moment
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Commas, Parameters, choice, flag, moment, text
from gitlab.broadcast_messages import services
from gitlab.broadcast_messages.models import BroadcastMessage
from gitlab.refusals import Invalid

_ORDER = ["-id"]
_LASTS = dt.timedelta(hours=1)
"""From now, where nobody says until when: as in GitLab."""

_Level = BroadcastMessage.Level
_THEMES = {
    "indigo": _Level.INFO,
    "light-indigo": _Level.INFO,
    "blue": _Level.INFO,
    "light-blue": _Level.INFO,
    "green": _Level.GOOD,
    "light-green": _Level.GOOD,
    "red": _Level.BAD,
    "light-red": _Level.WARN,
    "dark": _Level.INFO,
    "light": _Level.INFO,
}
"""GitLab's themes, and the level that each stands for. It has none that warns."""

_THEME_OF = {
    _Level.INFO: "indigo",
    _Level.GOOD: "green",
    _Level.WARN: "light-red",
    _Level.BAD: "red",
}


class BroadcastMessageEntity(Entity):
    """An announcement."""

    id = serializers.IntegerField()
    message = serializers.CharField()
    starts_at = Moment()
    ends_at = Moment()
    active = serializers.BooleanField(source="is_shown")
    target_access_levels = serializers.SerializerMethodField()
    target_path = serializers.SerializerMethodField()
    broadcast_type = serializers.SerializerMethodField()
    dismissable = serializers.BooleanField()
    theme = serializers.SerializerMethodField()
    level = serializers.ChoiceField(choices=_Level.values, help_text="Ours.")

    def get_target_access_levels(self, row: BroadcastMessage) -> list[int]:
        """None: it is for everybody."""
        return []

    def get_target_path(self, row: BroadcastMessage) -> str:
        """Empty: it stands on every page."""
        return ""

    def get_broadcast_type(self, row: BroadcastMessage) -> str:
        """`banner`."""
        return "banner"

    def get_theme(self, row: BroadcastMessage) -> str:
        """That which stands for its level."""
        return _THEME_OF[_Level(row.level)]


class ChangeParameters(Parameters):
    """What may be changed of an announcement."""

    message = serializers.CharField(required=False, max_length=4096)
    starts_at = moment()
    ends_at = moment()
    dismissable = flag(help_text="Whether a reader may put it away.")
    theme = choice(list(_THEMES), help_text="Stands for a level.")
    level = choice(_Level.values, help_text="Ours; it counts before the theme.")
    broadcast_type = choice(["banner"])
    target_path = text(help_text="Only an empty one: it stands on every page.")
    target_access_levels = Commas(
        child=serializers.IntegerField(), required=False, help_text="None: it is for everybody."
    )


class CreateParameters(ChangeParameters):
    """A new announcement."""

    message = serializers.CharField(max_length=4096)


def _given(sent: dict[str, Any]) -> dict[str, Any]:
    """What the services take of what was sent. Raises `Invalid` for what would show it to fewer."""
    for name in ("target_path", "target_access_levels"):
        if sent.pop(name, None):
            raise Invalid(
                {name: "Not possible here: an announcement is for everybody, everywhere."}
            )
    sent.pop("broadcast_type", None)
    theme = sent.pop("theme", None)
    if theme is not None:
        sent.setdefault("level", _THEMES[theme])
    return sent


def _find(pk: int) -> BroadcastMessage:
    row = BroadcastMessage.objects.filter(pk=pk).first()
    if row is None:
        raise not_found()
    return row


class BroadcastMessages(Endpoint):
    """``/broadcast_messages``"""

    section = "Announcements"
    visitors = True
    confirmed = ("POST",)

    @operation("List announcements", takes=PageParameters, gives=BroadcastMessageEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """All of them, the newest first, those that are over too."""
        page = page_of(request, given, BroadcastMessage.objects.all(), _ORDER)
        return page.response(BroadcastMessageEntity(page.rows, many=True).data)

    @operation(
        "Create an announcement", takes=CreateParameters, gives=BroadcastMessageEntity, status=201
    )
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """From now on for an hour, unless one says otherwise. For administrators."""
        now = timezone.now()
        usual: dict[str, Any] = {"starts_at": now, "ends_at": now + _LASTS, "dismissable": False}
        row = services.create(person(request), **usual | _given(given))
        return Response(BroadcastMessageEntity(row).data, status=201)


class OneBroadcastMessage(Endpoint):
    """``/broadcast_messages/:id``"""

    section = "Announcements"
    visitors = True
    confirmed = ("PUT", "DELETE")

    @operation("Show an announcement", gives=BroadcastMessageEntity, refuses=[404])
    def get(self, request: Request, id: int) -> Response:
        """Whether it stands now or not."""
        return Response(BroadcastMessageEntity(_find(id)).data)

    @operation(
        "Change an announcement",
        takes=ChangeParameters,
        gives=BroadcastMessageEntity,
        refuses=[404],
    )
    def put(self, request: Request, given: dict[str, Any], id: int) -> Response:
        """What is given. For administrators."""
        row = services.update(person(request), _find(id), **_given(given))
        return Response(BroadcastMessageEntity(row).data)

    @operation("Delete an announcement", status=204, refuses=[404])
    def delete(self, request: Request, id: int) -> Response:
        """It is gone from every page within half a minute. For administrators."""
        services.delete(person(request), _find(id))
        return Response(status=204)

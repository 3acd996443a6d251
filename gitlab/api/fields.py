"""How values stand in answers, and the parts that several kinds of answers have in common."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.response import Response

from gitlab.principals import Person


class Moment(serializers.DateTimeField):
    """A time as GitLab writes it: UTC, milliseconds, a Z."""

    def to_representation(self, value: Any) -> Any:
        """``2026-11-29T09:30:00.000Z``, or None."""
        if value is None:
            return None
        text = value.astimezone(dt.UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")


def web_url(path: str) -> str:
    """The URL of a page."""
    return f"{settings.EXTERNAL_URL}/{path}"


def api_url(path: str) -> str:
    """The URL of something of the API."""
    return f"{settings.EXTERNAL_URL}/api/v4/{path}"


class Entity(serializers.Serializer[Any]):
    """What is shown of something. `context` has ``user``, who asks."""


class WithToken(Entity):
    """Something new that signs in, with its text, which nobody can show again: see `with_token`."""

    token = serializers.SerializerMethodField()

    def get_token(self, row: Any) -> str:
        """The text."""
        return str(self.context["text"])


def with_token(entity: type[WithToken], row: Any, text: str, status: int = 201) -> Response:
    """The answer that shows a new token: `row` as `entity` has it, and its `text`, this once."""
    return Response(entity(row, context={"text": text}).data, status=status)


class UserBasic(Entity):
    """A person, as everybody may know them."""

    id = serializers.IntegerField(source="pk")
    username = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField()
    avatar_url = serializers.SerializerMethodField()
    web_url = serializers.SerializerMethodField()

    def get_avatar_url(self, user: Person) -> str | None:
        """None: nobody has a picture here."""
        return None

    def get_web_url(self, user: Person) -> str:
        """The page of their namespace."""
        return web_url(user.username)

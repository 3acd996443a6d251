"""What happened: everywhere for administrators, to a project or group for who administers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import not_found
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import routable_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import choice, identifier, moment, text
from gitlab.audit import services
from gitlab.audit.models import AuditEvent
from gitlab.audit.queries import Filter
from gitlab.namespaces.policies import Ability

_TYPES = {"User": "user", "Project": "project", "Group": "namespace"}
_KINDS = {kind: name for name, kind in _TYPES.items()}
_ORDER = ["-at", "-id"]


class DetailsEntity(Entity):
    """What is known of an event. `action` is ours, `details` hold what it is about."""

    action = serializers.CharField()
    author_name = serializers.CharField()
    target_id = serializers.IntegerField(allow_null=True)
    target_type = serializers.CharField()
    target_details = serializers.CharField()
    ip_address = serializers.CharField()
    entity_path = serializers.CharField()
    credential = serializers.CharField()
    request_id = serializers.CharField()
    position = serializers.IntegerField(allow_null=True)
    digest = serializers.CharField()
    custom = serializers.DictField()


class AuditEventEntity(Entity):
    """Something that happened."""

    id = serializers.IntegerField()
    author_id = serializers.SerializerMethodField()
    entity_id = serializers.IntegerField(source="target_id", allow_null=True)
    entity_type = serializers.SerializerMethodField()
    event_name = serializers.CharField(source="action")
    details = serializers.SerializerMethodField()
    created_at = Moment(source="at")

    def get_author_id(self, event: AuditEvent) -> int:
        """-1 where no person did it. It stays when they are deleted."""
        return event.actor_id or -1

    def get_entity_type(self, event: AuditEvent) -> str:
        """`User`, `Project`, `Group`, or what else it is about."""
        return _KINDS.get(event.target_type, event.target_type)

    @extend_schema_field(DetailsEntity)
    def get_details(self, event: AuditEvent) -> dict[str, Any]:
        """What is known."""
        return {
            "action": event.action,
            "author_name": event.actor_name,
            "target_id": event.target_id,
            "target_type": self.get_entity_type(event),
            "target_details": event.target_path,
            "ip_address": event.address,
            "entity_path": event.target_path,
            "credential": event.credential,
            "request_id": event.request_id,
            "position": event.chain_position,
            "digest": event.digest,
            "custom": event.details,
        }


class _Times(PageParameters):
    created_after = moment()
    created_before = moment()


class _Filters(_Times):
    """What is looked for."""

    author_name = text(required=False, help_text="Who did it, as the event names them.")
    action = text(required=False, help_text="`tag.delete`, or `tag.` for all of its kind.")
    target_path = text(required=False, help_text="A path, with all below it.")
    ip_address = text(required=False)
    credential = text(required=False, help_text="`access_token:12`")
    request_id = text(required=False)


class ListParameters(_Filters):
    """Which events."""

    entity_type = choice(list(_TYPES))
    entity_id = identifier(required=False, help_text="With `entity_type`.")


_ARGUMENTS = {
    "author_name": "actor",
    "action": "action",
    "target_path": "target",
    "ip_address": "address",
    "credential": "credential",
    "request_id": "request_id",
}


def _within(rows: QuerySet[AuditEvent], given: Mapping[str, Any]) -> QuerySet[AuditEvent]:
    texts = {argument: given[name] for name, argument in _ARGUMENTS.items() if name in given}
    rows = Filter(**texts).of(rows)
    columns = {"created_after": "at__gt", "created_before": "at__lt"}
    return rows.filter(**{column: given[name] for name, column in columns.items() if name in given})


def _page(request: Request, given: Mapping[str, Any], rows: QuerySet[AuditEvent]) -> Response:
    page = page_of(request, given, _within(rows, given), _ORDER)
    return page.response(AuditEventEntity(page.rows, many=True).data)


class AuditEvents(Endpoint):
    """``/audit_events``"""

    section = "Audit events"
    administrators = True

    @operation("List audit events", takes=ListParameters, gives=AuditEventEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """The newest first."""
        rows = AuditEvent.objects.all()
        if "entity_type" in given:
            rows = rows.filter(target_type=_TYPES[given["entity_type"]])
            if "entity_id" in given:
                rows = rows.filter(target_id=given["entity_id"])
        return _page(request, given, rows)


class OneAuditEvent(Endpoint):
    """``/audit_events/:id``"""

    section = "Audit events"
    administrators = True

    @operation("Show an audit event", gives=AuditEventEntity, refuses=[404])
    def get(self, request: Request, id: int) -> Response:
        """By its id."""
        event = AuditEvent.objects.filter(pk=id).first()
        if event is None:
            raise not_found("Audit Event")
        return Response(AuditEventEntity(event).data)


def _events_of(request: Request, kind: str, id: int | str) -> QuerySet[AuditEvent]:
    """What happened to a project or group and in it, without a group's projects and subgroups.

    Raises `ApiError` 404, `Forbidden`.
    """
    needed = Ability.ADMIN_PROJECT if kind == "project" else Ability.ADMIN_GROUP
    found = routable_for(person(request), kind, id, needed)
    if kind == "project":
        return services.events_in_project(found.pk)
    return services.events_in_namespaces([found.pk]).filter(project_pk__isnull=True)


class AuditEventsOf(Endpoint):
    """``/projects/:id/audit_events`` and ``/groups/:id/audit_events``"""

    section = "Audit events"
    of_both = True

    @operation(
        "List the audit events of a project or group",
        takes=_Filters,
        gives=AuditEventEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """The newest first, for those who administer it."""
        return _page(request, given, _events_of(request, kind, id))


class OneAuditEventOf(Endpoint):
    """``/projects/:id/audit_events/:audit_event_id``, and the same of a group"""

    section = "Audit events"
    of_both = True

    @operation("Show an audit event of a project or group", gives=AuditEventEntity, refuses=[404])
    def get(self, request: Request, kind: str, id: int | str, audit_event_id: int) -> Response:
        """By its id, for those who administer it."""
        event = _events_of(request, kind, id).filter(pk=audit_event_id).first()
        if event is None:
            raise not_found("Audit Event")
        return Response(AuditEventEntity(event).data)

"""Protection rules of projects, as GitLab has them, and of groups, which are ours.

Source: https://docs.gitlab.com/api/container_repository_protection_rules/,
https://docs.gitlab.com/api/container_registry_protection_tag_rules/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter, unprocessable
from gitlab.api.fields import Entity
from gitlab.api.lookups import administered, missing
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Parameters
from gitlab.container_registry.protection import services
from gitlab.container_registry.protection.models import Level, RepositoryRule, TagRule
from gitlab.principals import Person

_SECTION = "Container registry: protection"
_PUSH, _DELETE = "minimum_access_level_for_push", "minimum_access_level_for_delete"
_REFUSES = [403, 404, 422]


class _Level(serializers.ChoiceField):
    """A level by GitLab's word; an empty text or null takes it away."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            choices=list(services.LEVELS), allow_blank=True, allow_null=True, **options
        )

    def to_internal_value(self, data: Any) -> Any:
        """The level, or None."""
        found = super().to_internal_value(data)
        return services.LEVELS[found] if found else None

    def to_representation(self, value: Any) -> Any:
        """Its word, or null."""
        return Level(value).name.lower() if value is not None else None


class _RuleEntity(Entity):
    id = serializers.IntegerField()
    project_id = serializers.IntegerField(help_text="Of a project's rule.", required=False)
    group_id = serializers.IntegerField(
        source="namespace_id", help_text="Of a group's rule.", required=False
    )

    def to_representation(self, rule: Any) -> Any:
        """Without the id that the rule does not have."""
        shown = super().to_representation(rule)
        shown.pop("group_id" if rule.namespace_id is None else "project_id")
        return shown


class RepositoryRuleEntity(_RuleEntity):
    """Who may push and delete the images whose path matches; null where nothing is said."""

    repository_path_pattern = serializers.CharField()
    minimum_access_level_for_push = _Level()
    minimum_access_level_for_delete = _Level()


class TagRuleEntity(_RuleEntity):
    """Who may push and delete the tags that match; both null: immutable."""

    tag_name_pattern = serializers.CharField()
    minimum_access_level_for_push = _Level()
    minimum_access_level_for_delete = _Level()


class ListParameters(PageParameters):
    """A page of rules."""


class ChangeRepositoryRule(Parameters):
    """What changes."""

    repository_path_pattern = serializers.CharField(
        required=False,
        max_length=255,
        help_text="Begins with the path of the project or group; `*` is the only wildcard.",
    )
    minimum_access_level_for_push = _Level(required=False)
    minimum_access_level_for_delete = _Level(required=False)


class NewRepositoryRule(ChangeRepositoryRule):
    """A new rule, with one level at least."""

    repository_path_pattern = serializers.CharField(
        max_length=255,
        help_text="Begins with the path of the project or group; `*` is the only wildcard.",
    )


class ChangeTagRule(Parameters):
    """What changes."""

    tag_name_pattern = serializers.CharField(
        required=False, help_text="RE2, at most 100 characters."
    )
    minimum_access_level_for_push = _Level(required=False)
    minimum_access_level_for_delete = _Level(required=False)


class NewTagRule(Parameters):
    """A new rule. With both levels empty its tags are immutable."""

    tag_name_pattern = serializers.CharField(help_text="RE2, at most 100 characters.")
    minimum_access_level_for_push = _Level()
    minimum_access_level_for_delete = _Level()


class RepositoryRules(Endpoint):
    """``/projects/:id/registry/protection/repository/rules``, and the same of a group"""

    section = _SECTION
    of_both = True

    @operation(
        "List repository rules",
        takes=ListParameters,
        gives=RepositoryRuleEntity,
        many=True,
        refuses=[403, 404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those of the project or group itself, in the order in which they were made."""
        by = person(request)
        rows = services.rules_of(by, administered(by, kind, id), RepositoryRule)
        page = page_of(request, given, rows, ["id"])
        return page.response(RepositoryRuleEntity(page.rows, many=True).data)

    @operation(
        "Create a repository rule",
        takes=NewRepositoryRule,
        gives=RepositoryRuleEntity,
        status=201,
        refuses=_REFUSES,
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Nobody below a level pushes or deletes what matches. One level at least."""
        by = person(request)
        owner = administered(by, kind, id)
        if not given.keys() & {_PUSH, _DELETE}:
            raise BadParameter(
                f"{_PUSH}, {_DELETE} are missing, at least one parameter must be provided"
            )
        with unprocessable():
            rule = services.create_repository_rule(by, owner, **given)
        return Response(RepositoryRuleEntity(rule).data, status=201)


class OneRepositoryRule(Endpoint):
    """``/projects/:id/registry/protection/repository/rules/:protection_rule_id``"""

    section = _SECTION
    of_both = True

    @operation(
        "Change a repository rule",
        takes=ChangeRepositoryRule,
        gives=RepositoryRuleEntity,
        refuses=_REFUSES,
    )
    def patch(
        self,
        request: Request,
        given: dict[str, Any],
        kind: str,
        id: int | str,
        protection_rule_id: int,
    ) -> Response:
        """An empty level is taken away."""
        by = person(request)
        rule = _repository_rule(by, kind, id, protection_rule_id)
        with unprocessable():
            rule = services.update(by, rule, **given)
        return Response(RepositoryRuleEntity(rule).data)

    @operation("Delete a repository rule", status=204, refuses=[403, 404])
    def delete(
        self, request: Request, kind: str, id: int | str, protection_rule_id: int
    ) -> Response:
        """It holds no longer, at the next request."""
        by = person(request)
        services.delete(by, _repository_rule(by, kind, id, protection_rule_id))
        return Response(status=204)


class RepositoryRulesAtOlderAddress(RepositoryRules):
    """``/projects/:id/registry/protection/rules``, as GitLab 17.2 had it"""

    of_both = False


class OneRepositoryRuleAtOlderAddress(OneRepositoryRule):
    """``/projects/:id/registry/protection/rules/:protection_rule_id``, as GitLab 17.2 had it"""

    of_both = False


def _repository_rule(by: Person, kind: str, id: int | str, pk: int) -> RepositoryRule:
    owner = administered(by, kind, id)
    with missing("Container Registry Protection Rule"):
        return services.get_for(by, owner, RepositoryRule, pk)


class TagRules(Endpoint):
    """``/projects/:id/registry/protection/tag/rules``, and the same of a group"""

    section = _SECTION
    of_both = True

    @operation(
        "List tag rules", takes=ListParameters, gives=TagRuleEntity, many=True, refuses=[403, 404]
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those of the project or group itself, immutable ones too."""
        by = person(request)
        rows = services.rules_of(by, administered(by, kind, id), TagRule)
        page = page_of(request, given, rows, ["id"])
        return page.response(TagRuleEntity(page.rows, many=True).data)

    @operation(
        "Create a tag rule", takes=NewTagRule, gives=TagRuleEntity, status=201, refuses=_REFUSES
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Nobody below a level pushes or deletes what matches; without levels, it never moves."""
        by = person(request)
        owner = administered(by, kind, id)
        with unprocessable():
            rule = services.create_tag_rule(by, owner, **given)
        return Response(TagRuleEntity(rule).data, status=201)


class OneTagRule(Endpoint):
    """``/projects/:id/registry/protection/tag/rules/:protection_rule_id``"""

    section = _SECTION
    of_both = True

    @operation("Change a tag rule", takes=ChangeTagRule, gives=TagRuleEntity, refuses=_REFUSES)
    def patch(
        self,
        request: Request,
        given: Mapping[str, Any],
        kind: str,
        id: int | str,
        protection_rule_id: int,
    ) -> Response:
        """An empty level is taken away; without any level its tags are immutable."""
        by = person(request)
        rule = _tag_rule(by, kind, id, protection_rule_id)
        with unprocessable():
            rule = services.update(by, rule, **given)
        return Response(TagRuleEntity(rule).data)

    @operation("Delete a tag rule", status=204, refuses=[403, 404])
    def delete(
        self, request: Request, kind: str, id: int | str, protection_rule_id: int
    ) -> Response:
        """It holds no longer, at the next request."""
        by = person(request)
        services.delete(by, _tag_rule(by, kind, id, protection_rule_id))
        return Response(status=204)


def _tag_rule(by: Person, kind: str, id: int | str, pk: int) -> TagRule:
    owner = administered(by, kind, id)
    with missing("Container Registry Protection Tag Rule"):
        return services.get_for(by, owner, TagRule, pk)

"""Ours, beyond GitLab: cleanup policies with all of their rules, plans, runs, and their undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api import pagination
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity, Moment, UserBasic
from gitlab.api.lookups import administered, missing, project_for
from gitlab.api.pagination import Listed, PageParameters, page_of
from gitlab.api.parameters import Parameters, choice, flag, text
from gitlab.container_registry.cleanup import plan, requests, services
from gitlab.container_registry.cleanup.models import Cadence, CleanupPolicy, CleanupRun
from gitlab.container_registry.cleanup.policy import MAX_RULES
from gitlab.container_registry.cleanup.services import Owner
from gitlab.namespaces.policies import Ability

_SECTION = "Cleanup, beyond GitLab"


class RuleEntity(Entity):
    """One rule. Ages are `7d`, `12h`; null asks for nothing."""

    name_regex_delete = serializers.CharField()
    name_regex_keep = serializers.CharField()
    keep_n = serializers.IntegerField(allow_null=True)
    older_than = serializers.CharField(allow_null=True)
    not_pulled_for = serializers.CharField(allow_null=True)
    never_pulled = serializers.BooleanField()
    untagged = serializers.BooleanField()


class PolicyEntity(Entity):
    """The policy that holds. `inherited_from` is null for one's own, the path of a group, or "" for
    the installation.
    """

    enabled = serializers.BooleanField()
    cadence = serializers.ChoiceField(choices=Cadence.choices)
    requires_approval = serializers.BooleanField()
    rules = RuleEntity(many=True)
    next_run_at = Moment(allow_null=True)
    inherited_from = serializers.SerializerMethodField()

    def get_inherited_from(self, policy: CleanupPolicy) -> str | None:
        """Whose it is, where it is not one's own."""
        if not policy.pk or services.is_own(policy, self.context["owner"]):
            return None
        return policy.namespace.full_path if policy.namespace is not None else ""


class RuleParameters(Parameters):
    """One rule."""

    name_regex_delete = text(max_length=255, help_text="RE2, of the whole name.")
    name_regex_keep = text(max_length=255, help_text="RE2: these stay.")
    keep_n = serializers.IntegerField(required=False, allow_null=True)
    older_than = text(allow_null=True, help_text="`7d`, `12h`: what is younger stays.")
    not_pulled_for = text(allow_null=True, help_text="`90d`: what was pulled since stays.")
    never_pulled = flag(help_text="Only what nothing has pulled since its push.")
    untagged = flag(help_text="For images without a tag, by their age alone.")


class PolicyParameters(Parameters):
    """What shall be different. `rules` are all of them, each tag is judged by the first that
    matches it.
    """

    enabled = flag()
    cadence = choice(Cadence.choices)
    requires_approval = flag(help_text="What the cadence plans waits for a maintainer.")
    rules = serializers.ListField(
        child=RuleParameters(), required=False, max_length=MAX_RULES, allow_empty=True
    )


class RunEntity(Entity):
    """A cleanup: its plan, how far it is, and what came of it. Bytes are those of the plan, but for
    those that the collector has freed.
    """

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=CleanupRun.Status.choices)
    rules = RuleEntity(many=True)
    by_policy = serializers.BooleanField(help_text="Asked for by the policy's cadence.")
    requires_approval = serializers.BooleanField()
    requested_by = UserBasic(allow_null=True)
    approved_by = UserBasic(allow_null=True)
    ended_by = UserBasic(allow_null=True, help_text="Who has cancelled or undone it.")
    requested_at = Moment()
    planned_at = Moment(allow_null=True)
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)
    undone_at = Moment(allow_null=True)
    seen_count = serializers.IntegerField()
    going_count = serializers.IntegerField()
    done_count = serializers.IntegerField()
    deleted_count = serializers.IntegerField()
    spared_count = serializers.IntegerField()
    restored_count = serializers.IntegerField()
    freed_bytes = serializers.IntegerField()
    shared_bytes = serializers.IntegerField()
    exact = serializers.BooleanField(
        source="is_exact", help_text="Where it is false, at least so many bytes are freed."
    )
    collected_bytes = serializers.IntegerField(
        allow_null=True, help_text="What really went; null until the collector is done."
    )
    collected_at = Moment(allow_null=True)
    complete = serializers.SerializerMethodField()
    failure_reason = serializers.CharField()
    undo_until = serializers.SerializerMethodField()

    def get_complete(self, run: CleanupRun) -> bool:
        """Whether the plan looks at all tags and deletes all that the rules do."""
        return not run.is_cut

    def get_undo_until(self, run: CleanupRun) -> str | None:
        """Until when it can be undone as a whole; null where it can't."""
        found: str | None = Moment().to_representation(requests.undo_until(run))
        return found


class PlannedTagEntity(Entity):
    """A tag of a plan: whether it goes, by which rule and why, and what came of it."""

    repository_id = serializers.IntegerField(allow_null=True)
    path = serializers.CharField()
    name = serializers.CharField(
        source="entry.name", help_text="Of an image without a tag its digest."
    )
    digest = serializers.CharField(source="entry.digest", help_text="Of those that go.")
    total_size = serializers.IntegerField(source="entry.size_bytes")
    goes = serializers.BooleanField()
    rule = serializers.IntegerField(source="entry.rule", help_text="From 1; 0 where none says so.")
    reason = serializers.CharField(source="entry.reason")
    outcome = serializers.CharField(
        source="entry.outcome", help_text="`deleted`, `spared`, `restored`, `lost`, or nothing yet."
    )
    said = serializers.CharField(source="entry.said", help_text="Why it was spared, or is lost.")


class TagsParameters(PageParameters):
    """Which tags of the plan."""

    part = choice(plan.PARTS, help_text="All without it.")


def _policy(owner: Owner) -> Response:
    policy = services.effective_policy(owner)
    return Response(PolicyEntity(policy, context={"owner": owner}).data)


class PolicyOf(Endpoint):
    """``/projects/:id/registry/cleanup/policy``, ``/groups/:id/registry/cleanup/policy``"""

    section = _SECTION
    of_both = True

    @operation("Show the cleanup policy", gives=PolicyEntity, refuses=[404])
    def get(self, request: Request, kind: str, id: int | str) -> Response:
        """The one that holds, its own or an inherited one; one that is off where there is none."""
        return _policy(administered(person(request), kind, id))

    @operation(
        "Change the cleanup policy", takes=PolicyParameters, gives=PolicyEntity, refuses=[404]
    )
    def put(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """What is given is changed. An inherited policy becomes one of its own first."""
        owner = administered(person(request), kind, id)
        services.save_policy(person(request), owner, **_given(given))
        return _policy(owner)

    @operation("Inherit the cleanup policy", status=204, refuses=[404])
    def delete(self, request: Request, kind: str, id: int | str) -> Response:
        """Its own policy goes, and what is above holds again."""
        services.remove_policy(person(request), administered(person(request), kind, id))
        return Response(status=204)


def _given(given: Mapping[str, Any]) -> dict[str, Any]:
    rules = given.get("rules")
    return {**given, "rules": None if rules is None else [dict(rule) for rule in rules]}


class PolicyOfInstance(Endpoint):
    """``/registry/cleanup/policy``"""

    section = _SECTION
    administrators = True

    @operation("Show the installation's cleanup policy", gives=PolicyEntity)
    def get(self, request: Request) -> Response:
        """It holds for projects that have none, and none in a group above."""
        return _policy(None)

    @operation(
        "Change the installation's cleanup policy", takes=PolicyParameters, gives=PolicyEntity
    )
    def put(self, request: Request, given: dict[str, Any]) -> Response:
        """What is given is changed."""
        services.save_policy(person(request), None, **_given(given))
        return _policy(None)

    @operation("Remove the installation's cleanup policy", status=204)
    def delete(self, request: Request) -> Response:
        """Then nothing is deleted where nobody wants it."""
        services.remove_policy(person(request), None)
        return Response(status=204)


class Runs(Endpoint):
    """``/projects/:id/registry/cleanup/runs``"""

    section = _SECTION

    @operation(
        "List cleanups", takes=PageParameters, gives=RunEntity, many=True, refuses=[404, 405]
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """The latest first, of 90 days."""
        project = project_for(person(request), id, Ability.ADMIN_IMAGE)
        page = page_of(request, given, requests.runs_of(project), ("-id",))
        return page.response(RunEntity(page.rows, many=True).data)

    @operation("Plan a cleanup", gives=RunEntity, status=202, refuses=[404, 409])
    def post(self, request: Request, id: int | str) -> Response:
        """By the policy that holds, on or off. A job makes the plan, which waits for approval."""
        by = person(request)
        project = project_for(by, id, Ability.ADMIN_IMAGE)
        return Response(RunEntity(requests.request(by, project)).data, status=202)


def _run(request: Request, id: int | str, run_id: int) -> CleanupRun:
    by = person(request)
    project = project_for(by, id, Ability.ADMIN_IMAGE)
    with missing("Cleanup"):
        return requests.get_for(by, project, run_id)


class OneRun(Endpoint):
    """``/projects/:id/registry/cleanup/runs/:run_id``"""

    section = _SECTION

    @operation("Show a cleanup", gives=RunEntity, refuses=[404])
    def get(self, request: Request, id: int | str, run_id: int) -> Response:
        """Its plan as a whole, how far it is, and what came of it."""
        return Response(RunEntity(_run(request, id, run_id)).data)


class TagsOfRun(Endpoint):
    """``/projects/:id/registry/cleanup/runs/:run_id/tags``"""

    section = _SECTION

    @operation(
        "List the tags of a cleanup",
        takes=TagsParameters,
        gives=PlannedTagEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str, run_id: int) -> Response:
        """By image, those that go first; by key alone."""
        run = _run(request, id, run_id)
        size = pagination.per_page(given)
        found = plan.page_of(run, given.get("part", ""), after=given.get("cursor", ""), limit=size)
        headers = pagination.by_key(request, size, {"cursor": found.next_after})
        page = Listed(found.tags, headers)
        return page.response(PlannedTagEntity(page.rows, many=True).data)


class Approve(Endpoint):
    """``/projects/:id/registry/cleanup/runs/:run_id/approve``"""

    section = _SECTION

    @operation("Run a plan", gives=RunEntity, status=202, refuses=[404, 409])
    def post(self, request: Request, id: int | str, run_id: int) -> Response:
        """A job executes exactly this plan."""
        run = requests.approve(person(request), _run(request, id, run_id))
        return Response(RunEntity(run).data, status=202)


class Cancel(Endpoint):
    """``/projects/:id/registry/cleanup/runs/:run_id/cancel``"""

    section = _SECTION

    @operation("Cancel a cleanup", gives=RunEntity, status=202, refuses=[404, 409])
    def post(self, request: Request, id: int | str, run_id: int) -> Response:
        """One that runs ends behind the batch that it is at."""
        run = requests.cancel(person(request), _run(request, id, run_id))
        return Response(RunEntity(run).data, status=202)


class Undo(Endpoint):
    """``/projects/:id/registry/cleanup/runs/:run_id/undo``"""

    section = _SECTION

    @operation("Undo a cleanup", gives=RunEntity, status=202, refuses=[404, 409])
    def post(self, request: Request, id: int | str, run_id: int) -> Response:
        """A job brings back all that it has deleted."""
        run = requests.undo(person(request), _run(request, id, run_id))
        return Response(RunEntity(run).data, status=202)

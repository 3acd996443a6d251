"""The addresses of the API."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path, re_path

from gitlab.api import (
    associations,
    audit_events,
    broadcast_messages,
    denials,
    deploy_tokens,
    description,
    group_links,
    groups,
    instance,
    invitations,
    job_token_scope,
    jobs,
    members,
    metadata,
    namespaces,
    paths,  # noqa: F401 - it registers converters
    personal_access_tokens,
    projects,
    quotas,
    registry_access,
    registry_cleanup,
    registry_compare,
    registry_holders,
    registry_protection,
    registry_pulls,
    registry_referrers,
    registry_repositories,
    registry_signatures,
    registry_tags,
    registry_undo,
    resource_access_tokens,
    runners,
    transfers,
    trusted_issuers,
    user_states,
    users,
)
from gitlab.api.base import Endpoint, Nothing

app_name = "api"


def _of_both(address: str, endpoint: type[Endpoint]) -> list[URLPattern]:
    """An address below that of a project, and below that of a group; `kind` says which."""
    return [
        path(f"{kind}s/<api_id:id>/{address}", endpoint.as_view(), {"kind": kind})
        for kind in ("project", "group")
    ]


_IMAGES = "projects/<api_id:id>/registry/repositories"
_PROTECTION = "registry/protection"
_IMAGE = f"{_IMAGES}/<api_number:repository_id>"

_SCOPE = "projects/<api_id:id>/job_token_scope"
_CLEANUP = "projects/<api_id:id>/registry/cleanup/runs"
_CLEANUP_RUN = f"{_CLEANUP}/<api_number:run_id>"

_REGISTRY: list[URLPattern | URLResolver] = []
if settings.CONTAINER_REGISTRY_ENABLED:
    _REGISTRY = [
        path(_IMAGES, registry_repositories.ProjectRepositories.as_view()),
        path(
            "groups/<api_id:id>/registry/repositories",
            registry_repositories.GroupRepositories.as_view(),
        ),
        path(
            "registry/repositories/<api_number:id>", registry_repositories.OneRepository.as_view()
        ),
        path(_IMAGE, registry_repositories.ProjectRepository.as_view()),
        path(f"{_IMAGE}/tags", registry_tags.Tags.as_view()),
        path(f"{_IMAGE}/tags/<api_text:tag_name>", registry_tags.OneTag.as_view()),
        path(f"{_IMAGE}/tags/<api_text:tag_name>/history", registry_undo.TagHistory.as_view()),
        path(f"{_IMAGE}/tags/<api_text:tag_name>/restore", registry_undo.RestoreTag.as_view()),
        path(f"{_IMAGE}/freed", registry_undo.Freed.as_view()),
        path(f"{_IMAGE}/pulls", registry_pulls.Pulls.as_view()),
        path(f"{_IMAGE}/restore", registry_undo.RestoreRepository.as_view()),
        path("projects/<api_id:id>/registry/deleted_tags", registry_undo.DeletedTags.as_view()),
        path(
            "projects/<api_id:id>/registry/deleted_repositories",
            registry_undo.DeletedRepositories.as_view(),
        ),
        path(
            f"{_IMAGE}/tags/<api_text:tag_name>/referrers", registry_referrers.Referrers.as_view()
        ),
        path(
            f"{_IMAGE}/tags/<api_text:tag_name>/signatures",
            registry_signatures.Signatures.as_view(),
        ),
        *_of_both("registry/public_keys", registry_signatures.PublicKeys),
        *_of_both("registry/public_keys/<api_number:key_id>", registry_signatures.OnePublicKey),
        path(f"{_IMAGE}/compare", registry_compare.Compare.as_view()),
        path(f"{_IMAGE}/compare/files", registry_compare.CompareFiles.as_view()),
        path(f"{_IMAGE}/holders", registry_holders.HoldersInImage.as_view()),
        path("registry/holders", registry_holders.HoldersAnywhere.as_view()),
        path("registry/scope", registry_access.RegistryScope.as_view()),
        *_of_both("registry/cleanup/policy", registry_cleanup.PolicyOf),
        path("registry/cleanup/policy", registry_cleanup.PolicyOfInstance.as_view()),
        path(_CLEANUP, registry_cleanup.Runs.as_view()),
        path(_CLEANUP_RUN, registry_cleanup.OneRun.as_view()),
        path(f"{_CLEANUP_RUN}/tags", registry_cleanup.TagsOfRun.as_view()),
        path(f"{_CLEANUP_RUN}/approve", registry_cleanup.Approve.as_view()),
        path(f"{_CLEANUP_RUN}/cancel", registry_cleanup.Cancel.as_view()),
        path(f"{_CLEANUP_RUN}/undo", registry_cleanup.Undo.as_view()),
        path("registry/access", registry_access.RegistryAccess.as_view()),
        path("registry/oidc_token_exchange", trusted_issuers.TokenExchange.as_view()),
        path("namespaces/<api_id:id>/storage", quotas.NamespaceStorage.as_view()),
        *_of_both("quota", quotas.Quota),
        *_of_both(f"{_PROTECTION}/repository/rules", registry_protection.RepositoryRules),
        *_of_both(
            f"{_PROTECTION}/repository/rules/<api_number:protection_rule_id>",
            registry_protection.OneRepositoryRule,
        ),
        *_of_both(f"{_PROTECTION}/tag/rules", registry_protection.TagRules),
        *_of_both(
            f"{_PROTECTION}/tag/rules/<api_number:protection_rule_id>",
            registry_protection.OneTagRule,
        ),
        # GitLab's older address of the repository rules.
        path(
            f"projects/<api_id:id>/{_PROTECTION}/rules",
            registry_protection.RepositoryRulesAtOlderAddress.as_view(),
            {"kind": "project"},
        ),
        path(
            f"projects/<api_id:id>/{_PROTECTION}/rules/<api_number:protection_rule_id>",
            registry_protection.OneRepositoryRuleAtOlderAddress.as_view(),
            {"kind": "project"},
        ),
    ]

_V4: list[URLPattern | URLResolver] = [
    path("version", metadata.Version.as_view()),
    path("metadata", metadata.Metadata.as_view()),
    path("application/settings", instance.ApplicationSettings.as_view()),
    path("application/statistics", instance.Statistics.as_view()),
    path("broadcast_messages", broadcast_messages.BroadcastMessages.as_view()),
    path("broadcast_messages/<api_number:id>", broadcast_messages.OneBroadcastMessage.as_view()),
    path("audit_events", audit_events.AuditEvents.as_view()),
    path("audit_events/<api_number:id>", audit_events.OneAuditEvent.as_view()),
    *_of_both("audit_events", audit_events.AuditEventsOf),
    *_of_both("audit_events/<api_number:audit_event_id>", audit_events.OneAuditEventOf),
    path("denials", denials.Denials.as_view()),
    path("denials/<api_text:id>", denials.OneDenial.as_view()),
    *_of_both("denials", denials.DenialsOf),
    path("user", users.CurrentUser.as_view()),
    path("user/personal_access_tokens", personal_access_tokens.TokensOfOneself.as_view()),
    path("users", users.Users.as_view()),
    path("users/<api_id:id>", users.OneUser.as_view()),
    path("users/<api_id:id>/block", user_states.Block.as_view()),
    path("users/<api_id:id>/unblock", user_states.Unblock.as_view()),
    path("users/<api_id:id>/ban", user_states.Ban.as_view()),
    path("users/<api_id:id>/unban", user_states.Unban.as_view()),
    path("users/<api_id:id>/approve", user_states.ApproveUser.as_view()),
    path("users/<api_id:id>/reject", user_states.RejectUser.as_view()),
    path("users/<api_id:id>/deactivate", user_states.Deactivate.as_view()),
    path("users/<api_id:id>/activate", user_states.Activate.as_view()),
    path("users/<api_id:id>/disable_two_factor", user_states.DisableTwoFactor.as_view()),
    path(
        "users/<api_number:user_id>/personal_access_tokens",
        personal_access_tokens.TokensOfUser.as_view(),
    ),
    path("personal_access_tokens", personal_access_tokens.PersonalAccessTokens.as_view()),
    path("personal_access_tokens/self", personal_access_tokens.ThisToken.as_view()),
    path("personal_access_tokens/self/associations", associations.Associations.as_view()),
    path("personal_access_tokens/self/rotate", personal_access_tokens.RotateThisToken.as_view()),
    path("personal_access_tokens/<api_number:id>", personal_access_tokens.OneToken.as_view()),
    path(
        "personal_access_tokens/<api_number:id>/rotate",
        personal_access_tokens.RotateToken.as_view(),
    ),
    path("users/<api_id:id>/memberships", associations.Memberships.as_view()),
    path("users/<api_id:id>/projects", projects.ProjectsOfUser.as_view()),
    path("namespaces", namespaces.Namespaces.as_view()),
    path("namespaces/<api_id:id>", namespaces.OneNamespace.as_view()),
    path("namespaces/<api_text:path>/exists", namespaces.NamespaceExists.as_view()),
    path("projects", projects.Projects.as_view()),
    path("projects/user/<api_number:user_id>", projects.ProjectForUser.as_view()),
    path("projects/<api_id:id>", projects.OneProject.as_view()),
    path("projects/<api_id:id>/users", associations.PeopleOfProject.as_view()),
    path("projects/<api_id:id>/groups", associations.GroupsOfProject.as_view()),
    path("projects/<api_id:id>/archive", projects.Archive.as_view()),
    path("projects/<api_id:id>/unarchive", projects.Unarchive.as_view()),
    path("projects/<api_id:id>/transfer", transfers.TransferProject.as_view()),
    *_of_both("transfer_locations", transfers.TransferLocationsOf),
    path("projects/<api_id:id>/share", group_links.ShareProject.as_view()),
    path("projects/<api_id:id>/share/<api_number:group_id>", group_links.UnshareProject.as_view()),
    path("groups/<api_id:id>/share", group_links.ShareGroup.as_view()),
    path("groups/<api_id:id>/share/<api_number:group_id>", group_links.UnshareGroup.as_view()),
    path("groups", groups.Groups.as_view()),
    path("groups/<api_id:id>", groups.OneGroup.as_view()),
    path("groups/<api_id:id>/projects", projects.ProjectsOfGroup.as_view()),
    path("groups/<api_id:id>/projects/<api_id:project_id>", transfers.TransferIntoGroup.as_view()),
    path("groups/<api_id:id>/transfer", transfers.TransferGroup.as_view()),
    path("groups/<api_id:id>/subgroups", groups.Subgroups.as_view()),
    path("groups/<api_id:id>/descendant_groups", groups.DescendantGroups.as_view()),
    *_REGISTRY,
    path("deploy_tokens", deploy_tokens.DeployTokens.as_view()),
    *_of_both("deploy_tokens", deploy_tokens.DeployTokensOf),
    *_of_both("deploy_tokens/<api_number:token_id>", deploy_tokens.OneDeployTokenOf),
    *_of_both("trusted_issuers", trusted_issuers.TrustedIssuersOf),
    *_of_both("trusted_issuers/<api_number:trusted_issuer_id>", trusted_issuers.OneTrustedIssuerOf),
    *_of_both("access_tokens", resource_access_tokens.AccessTokensOf),
    *_of_both("access_tokens/<api_number:token_id>", resource_access_tokens.OneAccessTokenOf),
    *_of_both(
        "access_tokens/<api_number:token_id>/rotate", resource_access_tokens.RotateAccessTokenOf
    ),
    path("user/runners", runners.NewRunner.as_view()),
    path("runners", runners.Runners.as_view()),
    path("runners/all", runners.AllRunners.as_view()),
    path("runners/verify", runners.VerifyRunner.as_view()),
    path("runners/<api_number:id>", runners.OneRunner.as_view()),
    path("runners/<api_number:id>/jobs", jobs.JobsOfRunner.as_view()),
    path("projects/<api_id:id>/runners", runners.RunnersOfProject.as_view()),
    path("projects/<api_id:id>/jobs", jobs.JobsOfProject.as_view()),
    path("projects/<api_id:id>/jobs/<api_number:job_id>", jobs.JobOfProject.as_view()),
    path("job", jobs.ThisJob.as_view()),
    path("jobs/request", jobs.RequestJob.as_view()),
    path("jobs/<api_number:id>", jobs.ReportJob.as_view()),
    path(_SCOPE, job_token_scope.JobTokenScope.as_view()),
    path(f"{_SCOPE}/allowlist", job_token_scope.Allowlist.as_view()),
    path(f"{_SCOPE}/allowlist/<api_number:target_project_id>", job_token_scope.Allowed.as_view()),
    *_of_both("members", members.Members),
    *_of_both("members/all", members.AllMembers),
    *_of_both("members/all/<api_number:user_id>", members.OneOfAllMembers),
    *_of_both("members/<api_number:user_id>", members.OneMember),
    *_of_both("invitations", invitations.Invitations),
    *_of_both("invitations/<api_text:email>", invitations.OneInvitation),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("help/api", description.for_people, name="description"),
    path("api/v4/openapi.json", description.for_programs, name="openapi"),
    path("api/v4/", include(_V4)),
    re_path(r"^api(?:/.*)?$", Nothing.as_view()),
]

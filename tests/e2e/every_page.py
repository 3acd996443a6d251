"""Every page there is, by the name of its route, as who looks at it sees it.

What stands in braces is known once an installation has what `tests.e2e.company` makes. Whatever
has a route is here or in `NO_PAGE`: `tests/e2e/test_every_page.py` holds the two complete.
"""

from __future__ import annotations

from typing import TypeAlias

from tests.e2e.company import GROUP, IMAGE, INSIDE, PROJECT

Where: TypeAlias = tuple[dict[str, str], str]
"""The arguments of a route, and what follows the address."""

_HERE: list[Where] = [({}, "")]
_GROUP: dict[str, str] = {"path": GROUP}
_PROJECT: dict[str, str] = {"path": PROJECT}
_IMAGE = {**_PROJECT, "pk": f"{{image {IMAGE}}}"}
_INSIDE = {**_PROJECT, "pk": f"{{image {INSIDE}}}"}
_OF_BOTH = {"group": _GROUP, "project": _PROJECT}


def _of_both(names: str, **more: str) -> dict[str, list[Where]]:
    """Pages of a group and of a project: ``protection:{}_index`` is of ``protection:group_index``.

    What stands in `more` for both has ``KIND`` where the kind is meant.
    """
    return {
        name.replace("KIND", kind): [
            ({**where, **{k: v.replace("KIND", kind) for k, v in more.items()}}, "")
        ]
        for name in names.split()
        for kind, where in _OF_BOTH.items()
    }


OF_VISITORS: dict[str, list[Where]] = {
    **dict.fromkeys(("accounts:sign_in", "accounts:sign_up", "account_reset_password"), _HERE),
    "accounts:sign_up_by_link": [({"token": "{sign-up}"}, ""), ({"token": "over"}, "")],
    "account_reset_password_from_key": [({"uidb36": "{uid}", "key": "{reset}"}, "")],
    "invitations:sign_up": [({"token": "{invitation}"}, "")],
    "namespaces:explore": [({}, ""), ({}, "?q=nothing-like-this")],
    "namespaces:overview": [(_PROJECT, "")],
}
OF_ALICE: dict[str, list[Where]] = {
    "home": _HERE,
    "search": [({}, ""), ({}, "?q=check"), ({}, "?q=nothing-like-this")],
    **dict.fromkeys(
        (
            "namespaces:projects", "namespaces:groups", "namespaces:explore", "namespaces:project_new",
            "namespaces:group_new", "accounts:profile", "accounts:password", "accounts:sessions",
            "account_reauthenticate", "mfa_index", "mfa_activate_totp", "mfa_add_webauthn",
            "access_tokens:index", "access_tokens:new", "identity_providers:own", "record:own",
            "record:own_denials",
        ),
        _HERE,
    ),
    "identity_providers:link": [({"provider": "sso"}, "")],
    "identity_providers:unlink": [({"provider": "partner"}, "")],
    "access_tokens:rotate": [({"pk": "{token}"}, "")],
    "access_tokens:revoke": [({"pk": "{token}"}, "")],
    "invitations:show": [({"token": "{invitation}"}, ""), ({"token": "over"}, "")],
    "record:denial": [({"reference": "{denial}"}, "")],
    "namespaces:overview": [(_GROUP, ""), (_PROJECT, ""), ({"path": "shop/empty"}, "")],
    **_of_both(
        "namespaces:KIND_edit namespaces:KIND_delete namespaces:KIND_members namespaces:KIND_link_new"
        " invitations:KIND quotas:KIND activity:KIND path_changes:KIND record:KIND"
        " record:KIND_denials signatures:KIND_keys signatures:KIND_identities"
        " trusted_issuers:KIND_trusted_issuers trusted_issuers:KIND_trusted_issuer_new"
        " access_tokens:KIND_access_tokens access_tokens:KIND_access_token_new"
        " access_tokens:KIND_deploy_tokens access_tokens:KIND_deploy_token_new"
        " protection:KIND_index"
    ),
    **_of_both("namespaces:KIND_member_edit namespaces:KIND_member_remove", username="{member KIND}"),
    **_of_both("namespaces:KIND_link_remove", pk="{link KIND}"),
    **_of_both("invitations:KIND_withdraw", pk="{invited KIND}"),
    **_of_both("signatures:KIND_key_delete", pk="{key KIND}"),
    **_of_both("signatures:KIND_identity_delete", pk="{identity KIND}"),
    **_of_both(
        "trusted_issuers:KIND_trusted_issuer trusted_issuers:KIND_trusted_issuer_revoke",
        pk="{trust KIND}",
    ),
    **_of_both(
        "access_tokens:KIND_access_token_rotate access_tokens:KIND_access_token_revoke",
        pk="{token KIND}",
    ),
    **_of_both("access_tokens:KIND_deploy_token_revoke", pk="{deploy token KIND}"),
    **{
        f"protection:{kind}_{page}": [
            ({**where, "of": of, **({} if page == "new" else {"pk": f"{{{of} rule {kind}}}"})}, "")
            for of in ("tags", "images")
        ]
        for kind, where in _OF_BOTH.items()
        for page in ("new", "edit", "delete")
    },
    "path_changes:group_transfer": [(_GROUP, "")],
    "path_changes:transfer": [(_PROJECT, "")],
    "record:project_pulls": [(_PROJECT, "")],
    "access_tokens:project_runners": [(_PROJECT, "")],
    "access_tokens:project_runner_new": [(_PROJECT, "")],
    "access_tokens:project_runner_revoke": [({**_PROJECT, "pk": "{runner}"}, "")],
    "activity:pushes": [(_PROJECT, "")],
    "activity:image_pushes": [(_IMAGE, "")],
    "quotas:image": [(_IMAGE, "")],
    "cleanup:group": [(_GROUP, "")],
    "cleanup:project": [(_PROJECT, "")],
    "cleanup:policy": [(_PROJECT, "")],
    "cleanup:run": [({**_PROJECT, "pk": "{run}"}, "")],
    "container_registry:index": [(_PROJECT, ""), ({"path": "shop/empty"}, "")],
    "container_registry:deleted": [(_PROJECT, "")],
    "container_registry:help": [(_PROJECT, "")],
    "container_registry:repository": [(_IMAGE, ""), (_IMAGE, "?q=v1"), (_INSIDE, "")],
    "container_registry:untagged": [(_IMAGE, ""), (_IMAGE, "?q=v")],
    "container_registry:delete": [(_IMAGE, "")],
    "container_registry:tags_delete": [(_IMAGE, "?selected=v1.0.0&selected=v1.1.0")],
    "container_registry:tag": [
        ({**_IMAGE, "tag": "latest"}, ""),
        ({**_INSIDE, "tag": "multi"}, ""),
        ({**_INSIDE, "tag": "moved"}, "?on={today}"),
    ],
    "container_registry:manifest": [({**_INSIDE, "digest": "{digest}"}, "")],
    "container_registry:document": [({**_INSIDE, "digest": "{digest}"}, "")],
    "container_registry:file": [({**_INSIDE, "digest": "{statement}", "layer": "{sbom}"}, "")],
    "container_registry:compare": [(_INSIDE, ""), (_INSIDE, "?from=v1&to=v2")],
    "layers:files": [
        ({**_INSIDE, "digest": "{digest}"}, ""),
        ({**_INSIDE, "digest": "{digest}"}, "?path=app"),
    ],
}  # fmt: skip
OF_EMIL: dict[str, list[Where]] = dict.fromkeys(
    ("mfa_index", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes",
     "mfa_reauthenticate"),
    _HERE,
)  # fmt: skip
"""He has an authenticator app."""

OF_ROOT: dict[str, list[Where]] = {
    **dict.fromkeys(
        (
            "admin_area:cleanup", "admin_area:doctor", "admin_area:mail", "admin_area:settings",
            "admin_area:announcements", "admin_area:announcement_new", "admin_area:people",
            "admin_area:person_new", "admin_area:projects", "admin_area:groups", "admin_area:images", "record:instance", "record:denials",
            "admin:index",
        ),
        _HERE,
    ),
    "admin_area:announcement": [({"pk": "{announcement}"}, "")],
    "admin_area:announcement_delete": [({"pk": "{announcement}"}, "")],
    "admin_area:tokens_of": [({"kind": "access"}, "")],
    "admin_area:person": [({"username": "bob"}, "")],
    "user_deletion:ask": [({"pk": "{bob}"}, "")],
    "record:inventory": [({"key": "access_tokens"}, "")],
}  # fmt: skip

NO_PAGE: dict[str, str] = {
    **dict.fromkeys(
        (
            "accounts:end_session", "accounts:end_sessions", "accounts:sign_out", "activity:star",
            "access_tokens:project_runner_allow", "access_tokens:project_runner_disallow",
            "broadcast_messages:dismiss", "cleanup:approve", "cleanup:cancel", "cleanup:choose",
            "cleanup:plan", "cleanup:undo", "container_registry:compare_files",
            "container_registry:restore", "container_registry:tag_restore", "invitations:decline",
            "invitations:group_send", "invitations:project_send", "layers:list",
            "namespaces:project_archive", "ui:theme", "user_deletion:keep",
            "trusted_issuers:group_trusted_issuer_try", "trusted_issuers:project_trusted_issuer_try",
        ),
        "a POST",
    ),
    **dict.fromkeys(
        (
            "cleanup:progress", "container_registry:compare_progress", "container_registry:progress",
            "layers:progress", "protection:group_matches", "protection:project_matches",
        ),
        "a part of a page",
    ),
    **dict.fromkeys(
        (
            "admin_area:home", "admin_area:tokens", "identity_providers:begin", "identity_providers:callback",
            "mfa_login_webauthn", "record:inventories",
        ),
        "leads elsewhere",
    ),
    **dict.fromkeys(
        (
            "api:openapi", "container_registry:events", "container_registry:pull_secret",
            "tokens:auth",
        ),
        "for programs",
    ),
    "api:description": "drawn by Swagger UI, which is not ours",
    "account_login": "accounts:sign_in by allauth's name",
    **{
        f"admin_area:{name}_act": "asks about what was chosen: opened from the list"
        for name in ("people", "projects", "groups", "images", "tokens")
    },
    "mfa_authenticate": "looked at on the way in, by Emil",
    "mfa_reauthenticate_webauthn": "as mfa_reauthenticate, with a device",
    "mfa_remove_webauthn": "as mfa_deactivate_totp, of a device",
    "ui:components": "in development only",
}  # fmt: skip

"""Whatever changes something by somebody leaves a row: a table of all services, which code is held
against.

A function of a service that takes who does it (`by`) and is missing here fails, and so does one
from which no call of `record` with its action is reached. What a row says is tested by the services
themselves, and by the scripted day.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

pytestmark = pytest.mark.engineless

ROOT = Path(__file__).parents[3] / "gitlab"

READS = ""
"""Of what changes nothing by itself: it asks, or is a part of what stands here."""

SERVICES: dict[str, str] = {
    "access_tokens.checks.note_use": "*.first_use",
    "access_tokens.deploy_tokens.create": "deploy_token.*",
    "access_tokens.deploy_tokens.get_for": READS,
    "access_tokens.deploy_tokens.revoke": "deploy_token.*",
    "access_tokens.deploy_tokens.tokens_of": READS,
    "access_tokens.job_allowances.add": "job_allowance.add",
    "access_tokens.job_allowances.of": READS,
    "access_tokens.job_allowances.remove": "job_allowance.remove",
    "access_tokens.job_tokens.create_runner": "runner.create",
    "access_tokens.job_tokens.get_runner_for": READS,
    "access_tokens.job_tokens.jobs_of": READS,
    "access_tokens.job_tokens.revoke_runner": "runner.revoke",
    "access_tokens.job_tokens.runners_for": READS,
    "access_tokens.job_tokens.runners_of": READS,
    "access_tokens.resource_tokens.create": "access_token.*",
    "access_tokens.resource_tokens.get_for": READS,
    "access_tokens.resource_tokens.highest_level": READS,
    "access_tokens.resource_tokens.revoke": "access_token.revoke",
    "access_tokens.resource_tokens.rotate": "access_token.*",
    "access_tokens.resource_tokens.tokens_of": READS,
    "access_tokens.services.create": "access_token.*",
    "access_tokens.services.end": "access_token.revoke",
    "access_tokens.services.insert": "access_token.*",
    "access_tokens.services.replace": "access_token.*",
    "access_tokens.services.revoke": "access_token.revoke",
    "access_tokens.services.rotate": "access_token.*",
    "accounts.factors.services.remove_all": "user.remove_factors",
    "accounts.login_waits.lift": "user.lift_failed_logins",
    "accounts.password_resets.services.send_to": "user.send_reset_link",
    "accounts.registration.insert": "user.create",
    "accounts.registration.write": "user.create",
    "accounts.services.activate": "user.activate",
    "accounts.services.administer": "user.update",
    "accounts.services.block": "user.block",
    "accounts.services.change_password": "user.change_password",
    "accounts.services.create_user": "user.create",
    "accounts.services.deactivate": "user.deactivate",
    "accounts.services.delete_user": "user.delete",
    "accounts.services.set_administrator": "user.revoke_admin",
    "accounts.services.set_external": "user.set_external",
    "accounts.services.unblock": "user.unblock",
    "accounts.services.update_user": "user.update",
    "accounts.sessions.end": "user.end_session",
    "accounts.sessions.end_all": "user.end_sessions",
    "accounts.sign_ups.services.approve": "user.approve",
    "accounts.sign_ups.services.reject": "user.reject",
    "activity.needs.of": READS,
    # Whose favourites these are is told to nobody.
    "activity.stars.of": READS,
    "activity.stars.star": READS,
    "activity.stars.unstar": READS,
    # Each by the service of what is done.
    "admin_area.bulk.perform": READS,
    "broadcast_messages.services.create": "broadcast_message.create",
    "broadcast_messages.services.delete": "broadcast_message.delete",
    "broadcast_messages.services.update": "broadcast_message.update",
    "container_registry.bulk_deletion.schedule": "tag.delete_in_bulk",
    "container_registry.cleanup.requests.approve": "cleanup.approve",
    "container_registry.cleanup.requests.cancel": "cleanup.cancel",
    "container_registry.cleanup.requests.request": "cleanup.request",
    "container_registry.cleanup.requests.request_chosen": "cleanup.request",
    "container_registry.cleanup.requests.undo": "cleanup.undo",
    "container_registry.cleanup.services.remove_policy": "cleanup_policy.delete",
    "container_registry.cleanup.services.require": READS,
    "container_registry.cleanup.services.save_gitlab_fields": "cleanup_policy.update",
    "container_registry.cleanup.services.save_policy": "cleanup_policy.update",
    "container_registry.client.tokens.for_access": READS,
    "container_registry.deletion.retry": "container_repository.retry_deletion",
    "container_registry.deletion.schedule": "container_repository.schedule_deletion",
    "container_registry.deletion.take_back": "container_repository.keep",
    "container_registry.imports.note": "container_repository.create",
    # Reads layers once, for somebody who may pull them.
    "container_registry.layers.requests.request": READS,
    "container_registry.protection.guard.require_image": READS,
    "container_registry.protection.guard.require_path_stays": READS,
    "container_registry.protection.guard.require_project_may_go": READS,
    "container_registry.protection.guard.require_push": READS,
    "container_registry.protection.services.create_repository_rule": "*.*",
    "container_registry.protection.services.create_tag_rule": "*.*",
    "container_registry.protection.services.delete": "*.*",
    "container_registry.protection.services.get_for": READS,
    "container_registry.protection.services.inherited_by": READS,
    "container_registry.protection.services.require": READS,
    "container_registry.protection.services.rules_of": READS,
    "container_registry.protection.services.update": "*.*",
    "container_registry.repositories.create_project_of": "project.create",
    "container_registry.repositories.note": "container_repository.create",
    "container_registry.signatures.identities.add_identity": "signing_identity.create",
    "container_registry.signatures.identities.delete_identity": "signing_identity.delete",
    "container_registry.signatures.identities.get_identity_for": READS,
    "container_registry.signatures.identities.identities_above": READS,
    "container_registry.signatures.identities.identities_of": READS,
    "container_registry.signatures.services.create": "public_key.create",
    "container_registry.signatures.services.delete": "public_key.delete",
    "container_registry.signatures.services.get_for": READS,
    "container_registry.signatures.services.inherited_by": READS,
    "container_registry.signatures.services.keys_of": READS,
    "container_registry.signatures.services.require": READS,
    "container_registry.tags.delete_tags": "tag.delete",
    "container_registry.undo.deleted_images": READS,
    "container_registry.undo.deleted_tags": READS,
    "container_registry.undo.point_back": "tag.restore",
    "container_registry.undo.restore_image": "container_repository.restore",
    "container_registry.undo.restore_tags": "tag.restore",
    "identity_providers.services.end": "identity.unlink",
    "identity_providers.services.insert": "identity.link",
    "identity_providers.services.unlink": "identity.unlink",
    "invitations.services.change": "invitation.*",
    "invitations.services.get_for": READS,
    "invitations.services.invitations_of": READS,
    "invitations.services.invite": "invitation.*",
    "invitations.services.send_again": "invitation.*",
    "invitations.services.withdraw": "invitation.*",
    # It changes nothing.
    "mail.trial.send": READS,
    "namespaces.group_links.share": "group_link.create",
    "namespaces.group_links.unshare": "group_link.delete",
    "namespaces.members.add_member": "member.add",
    "namespaces.members.require_administered": READS,
    "namespaces.members.remove_member": "member.remove",
    "namespaces.members.update_member": "member.update",
    "namespaces.services.create_group": "group.create",
    "namespaces.services.create_project": "project.create",
    "namespaces.services.delete_group": "group.delete",
    "namespaces.services.delete_project": "project.delete",
    "namespaces.services.set_archived": "project.unarchive",
    "namespaces.services.update_group": "group.update",
    "namespaces.services.update_project": "project.update",
    "path_changes.services.change_group_path": "*.change_path",
    "path_changes.services.change_project_path": "*.change_path",
    "path_changes.services.transfer_group": "*.change_path",
    "path_changes.services.transfer_project": "*.change_path",
    "quotas.services.may_set": READS,
    "quotas.services.require_reading": READS,
    "quotas.services.set_quota": "quota.update",
    "quotas.services.uses": READS,
    "record.denials.find_for": READS,
    "record.denials.of_person": READS,
    # By the rule of what it mends.
    "record.inventory.mend": READS,
    "trusted_issuers.services.create": "trusted_issuer.*",
    "trusted_issuers.services.get_for": READS,
    "trusted_issuers.services.revoke": "trusted_issuer.*",
    "trusted_issuers.services.trusts_of": READS,
    "trusted_issuers.services.try_token": READS,
    "trusted_issuers.services.update": "trusted_issuer.*",
    "user_deletion.services.cancel": "user.keep",
    "user_deletion.services.request": "user.schedule_deletion",
}
"""Function → the action of the row that it leaves, with * for what is put together there."""

BY_OTHERS = {
    # Who did it is said in another way, or is nobody.
    "audit.denials": {"user.fail_sign_in"},
    "audit.middleware": {"user.sign_in", "user.sign_out"},
    "accounts.factors.services": {
        "user.add_factor",
        "user.remove_factor",
        "user.new_recovery_codes",
        "user.use_recovery_code",
    },
    "access_tokens.job_tokens": {"runner.first_use"},
    "access_tokens.rotation": {"access_token.reuse"},
    "container_registry.recorded_events": {
        "tag.push",
        "tag.delete",
        "manifest.*",
        "container_repository.empty",
    },
    "container_registry.cleanup.runs": {"cleanup.*"},
    "namespaces.members": {"member.expire"},
    "identity_providers.services": {"identity.link", "identity.gone"},
    "invitations.services": {"invitation.*"},
    "trusted_issuers.services": {"trusted_issuer.use"},
}

_APART = {"audit.services", "management"}


@functools.cache
def _functions() -> dict[str, ast.FunctionDef]:
    """The functions of all modules that are no doors, by their dotted names."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if "migrations" in path.parts or module.startswith(tuple(_APART)):
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found[f"{module}.{node.name}"] = node
    return found


def _takes_by(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return any(argument.arg == "by" for argument in arguments)


@functools.cache
def _by_name() -> dict[str, list[str]]:
    """The functions by their names alone."""
    found: dict[str, list[str]] = {}
    for other in _functions():
        found.setdefault(other.rpartition(".")[2], []).append(other)
    return found


@functools.cache
def _parts(name: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a function records itself, and the functions that it calls."""
    module = name.rpartition(".")[0]
    recorded: set[str] = set()
    calls: set[str] = set()
    for node in ast.walk(_functions()[name]):
        if not isinstance(node, ast.Call):
            continue
        called = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
        if called == "record" and isinstance(node.func, ast.Name):
            recorded |= _texts(node.args[0], name)
        here = f"{module}.{called}"
        if isinstance(node.func, ast.Name) and here in _functions():
            calls.add(here)
        else:
            calls |= {
                other for other in _by_name().get(called, []) if _is_meant(node, other, module)
            }
    return frozenset(recorded), frozenset(calls)


def _actions(name: str) -> set[str]:
    """The actions that are recorded below a function, by the names that it calls."""
    seen, left, found = {name}, [name], set()
    while left:
        recorded, calls = _parts(left.pop())
        found |= recorded
        left += calls - seen
        seen |= calls
    return found


def _is_meant(node: ast.Call, other: str, module: str) -> bool:
    """Whether a call of something elsewhere is of this function: by the module's name before it."""
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        last = other.split(".")[-2]
        value = node.func.value.id
        return value == last or (last == "services" and value == other.split(".")[-3])
    return isinstance(node.func, ast.Name) and not other.startswith(f"{module}.")


def _texts(argument: ast.expr, name: str) -> set[str]:
    if isinstance(argument, ast.Constant):
        return {str(argument.value)}
    if isinstance(argument, ast.IfExp):
        return _texts(argument.body, name) | _texts(argument.orelse, name)
    if isinstance(argument, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "*" for part in argument.values]
        return {"".join(map(str, parts))}
    if isinstance(argument, ast.Name):
        given = [
            text
            for node in ast.walk(_functions()[name])
            if isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == argument.id for t in node.targets)
            for text in _texts(node.value, name)
        ]
        return set(given)
    return set()


def test_every_service_stands_in_the_table() -> None:
    there = {
        name
        for name, function in _functions().items()
        if _takes_by(function)
        and not function.name.startswith("_")
        # What is called so only reads.
        and name.rpartition(".")[0].rpartition(".")[2] != "queries"
    }
    assert there == set(SERVICES)


def test_what_changes_something_leaves_a_row() -> None:
    missing = {
        name: action for name, action in SERVICES.items() if action and action not in _actions(name)
    }
    assert not missing
    assert not _actions("quotas.services.may_set")


@pytest.mark.parametrize("module", BY_OTHERS)
def test_what_nobody_does_by_hand_leaves_a_row(module: str) -> None:
    found = {
        text
        for name in _functions()
        if name.rpartition(".")[0] == module
        for node in ast.walk(_functions()[name])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "record"
        for text in _texts(node.args[0], name)
    }
    assert BY_OTHERS[module] <= found

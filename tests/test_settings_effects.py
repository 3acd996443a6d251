"""Each key of the configuration has an effect, and a test shows it. Here is which.

`tests/gitlab/test_settings_sources.py` shows for each key that a value reaches what reads it, from
each source; the tests named here show what that does. A key without one fails, and so does a name
that is no test any more.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from gitlab.config import KEYS

pytestmark = pytest.mark.engineless

TESTS = Path(__file__).parent
_PROVIDERS = "gitlab/identity_providers"
_DIRECTORIES = f"{_PROVIDERS}/directories"
_NODE = "system/test_settings.py"

SHOWN_BY: dict[str, str] = {
    "external_url": "system/test_serve.py::test_it_says_once_where_everything_is",
    "registry_external_url": "e2e/test_proxies.py::test_every_address_is_the_one_outside",
    "gitlab_root_password": "gitlab/test_commands.py::test_two_at_once_with_a_root_password",
    "registry.enable": "e2e/test_two_nodes.py::test_each_node_serves_its_own_addresses_only",
    "registry.registry_http_addr": f"{_NODE}::test_where_things_are",
    "registry.token_realm": f"{_NODE}::test_the_realm",
    "registry.http_secret": f"{_NODE}::test_the_secret_of_uploads",
    "registry.internal_key": "gitlab/test_commands.py::test_a_pair_can_be_configured",
    "registry.internal_certificate": "gitlab/test_commands.py::test_a_pair_can_be_configured",
    "registry.rootcertbundle": f"{_NODE}::test_where_things_are",
    "registry.health_storagedriver_enabled": "registry/test_health.py::test_the_storage_can_be_left_out",
    "registry.registry_issuer": f"{_NODE}::test_the_issuer_and_the_life_of_a_token",
    "registry.storage.driver": "e2e/test_s3.py::test_push_pull_and_collect",
    "registry.storage.root": f"{_NODE}::test_where_things_are",
    "registry.storage.bucket": "contracts/test_s3_store.py::test_the_check_needs_the_bucket",
    "registry.storage.prefix": "e2e/test_s3.py::test_push_pull_and_collect",
    "registry.storage.endpoint": "contracts/test_s3_reading.py::test_addressing_styles",
    "registry.storage.region": "contracts/test_s3_reading.py::test_addressing_styles",
    "registry.storage.addressing_style": "contracts/test_s3_reading.py::test_addressing_styles",
    "registry.storage.access_key": "e2e/test_s3.py::test_push_pull_and_collect",
    "registry.storage.secret_key": "e2e/test_s3.py::test_push_pull_and_collect",
    "registry.storage.redirect": "e2e/test_s3.py::test_push_pull_and_collect",
    "registry.storage.accel_prefix": "registry/test_get_blob.py::test_behind_nginx_the_answer_only_names_the_file",
    "gitlab_rails.registry_enabled": "gitlab/authorization/test_authorizer.py::test_a_registry_that_is_off",
    "gitlab_rails.registry_api_url": "e2e/test_two_nodes.py::test_the_worker_deletes_an_image_and_the_collector_its_bytes",
    "gitlab_rails.registry_host": f"{_NODE}::test_strangers_may_register_and_see_the_registry_that_is_shown",
    "gitlab_rails.registry_port": f"{_NODE}::test_strangers_may_register_and_see_the_registry_that_is_shown",
    "gitlab_rails.registry_issuer": f"{_NODE}::test_the_issuer_and_the_life_of_a_token",
    "gitlab_rails.registry_key_path": f"{_NODE}::test_where_things_are",
    "gitlab_rails.internal_key": "gitlab/test_commands.py::test_a_pair_can_be_configured",
    "berth.home": f"{_NODE}::test_where_things_are",
    "berth.roles": "system/test_serve.py::test_only_one_half",
    "berth.processes": "system/test_serve.py::test_as_many_processes_serve_as_are_set",
    "berth.web_http_addr": f"{_NODE}::test_where_things_are",
    "berth.database_url": f"{_NODE}::test_where_things_are",
    "berth.registry_database_url": f"{_NODE}::test_where_things_are",
    "berth.database_timeout": "gitlab/server/databases/test_limits.py::test_a_long_statement_ends",
    "berth.broker_url": "system/test_many_nodes.py::test_redis_is_the_broker_and_the_cache",
    "berth.cache_url": "system/test_many_nodes.py::test_redis_is_the_broker_and_the_cache",
    "berth.token_expire_delay": f"{_NODE}::test_the_issuer_and_the_life_of_a_token",
    "berth.token_leeway": "tokens/test_verify.py::test_how_much_clocks_may_differ_is_a_setting",
    "berth.gc_review_delay": "registry/services/garbage/test_collection.py::test_a_blob_without_a_manifest_goes_after_the_grace",
    "berth.undo_window": "registry/services/garbage/test_collection.py::test_a_moved_tag_releases_its_manifest_after_the_window",
    "berth.events_kept": "registry/services/test_retention.py::test_what_is_old_goes_in_batches",
    "berth.tag_history_kept": "registry/services/test_retention.py::test_history_that_is_old_goes_in_batches",
    "berth.pulls_kept": "registry/services/test_pull_counts.py::test_days_that_are_old_go_in_batches",
    "berth.denials_kept": "gitlab/audit/test_denials.py::test_how_long_they_are_kept",
    "berth.audit_stream": "gitlab/audit/test_stream.py::test_a_file_gets_each_line_once",
    "berth.audit_events_kept": "gitlab/audit/test_retention.py::test_those_whose_time_is_over_go_in_batches",
    **dict.fromkeys(
        (
            "gitlab_rails.smtp_enable",
            "gitlab_rails.smtp_address",
            "gitlab_rails.smtp_port",
            "gitlab_rails.gitlab_email_from",
        ),
        "gitlab/mail/test_smtp.py::test_it_arrives",
    ),
    "gitlab_rails.smtp_user_name": "gitlab/mail/test_smtp.py::test_who_signs_in_there",
    "gitlab_rails.smtp_password": "gitlab/mail/test_smtp.py::test_who_signs_in_there",
    "gitlab_rails.smtp_tls": "gitlab/mail/test_smtp.py::test_tls_from_the_first_byte",
    "gitlab_rails.smtp_starttls": "gitlab/mail/test_smtp.py::test_starttls",
    "berth.token_expiry_warning": "gitlab/access_tokens/test_expiry.py::test_the_days_are_a_setting",
    "berth.max_token_lifetime": "gitlab/access_tokens/test_rotation.py::test_the_longest_lifetime",
    "berth.upload_expiry": "system/test_settings.py::test_an_upload_ends",
    "berth.delete_enabled": f"{_NODE}::test_deletion_is_off",
    "berth.push_creates_projects": f"{_NODE}::test_a_push_creates_no_project",
    "berth.hsts": "gitlab/config/test_what_follows.py::test_browsers_are_told_of_https_where_there_is_any",
    "berth.password_min_length": "gitlab/accounts/test_password_rules.py"
    "::test_the_shortest_is_a_setting",
    "berth.require_two_factor": "gitlab/accounts/test_required_factors.py"
    "::test_the_installation_requires_it",
    "berth.two_factor_grace_period": "gitlab/accounts/test_required_factors.py"
    "::test_the_installation_requires_it",
    "berth.signup_domains": "gitlab/accounts/test_sign_up_page.py::test_only_some_domains",
    "berth.signup_requires_approval": "gitlab/accounts/test_approval.py::test_nobody_comes_in_before",
    "berth.deactivate_dormant_after": "gitlab/accounts/test_dormancy.py::test_who_is_silent_rests",
    "berth.invitation_expiry": "gitlab/invitations/test_services.py::test_where_none_are_sent",
    "berth.invitations_make_accounts": "gitlab/invitations/test_services.py::test_who_makes_accounts",
    "berth.mail_to_log": "gitlab/mail/test_log.py::test_it_stands_in_the_log",
    "berth.signup_enabled": f"{_NODE}::test_strangers_may_register_and_see_the_registry_that_is_shown",
    "berth.max_manifest_size": f"{_NODE}::test_the_largest_of_each",
    "berth.max_blob_size": f"{_NODE}::test_the_largest_of_each",
    "berth.max_page": f"{_NODE}::test_the_largest_of_each",
    "berth.max_scopes": f"{_NODE}::test_the_largest_of_each",
    "berth.max_form_size": f"{_NODE}::test_the_largest_of_each",
    "berth.trusted_proxies": f"{_NODE}::test_rates",
    "berth.cors_origins": "gitlab/server/test_cors.py::test_a_page_of_a_listed_origin_may_read",
    "berth.tls_certificate": "e2e/test_tls.py::test_docker",
    "berth.tls_key": "e2e/test_tls.py::test_docker",
    "berth.registry_ca_bundle": "e2e/test_tls.py::test_the_pages_and_the_worker_trust_the_registry",
    "berth.sigstore_trust_root": "gitlab/container_registry/signatures/test_certificates.py::test_a_bundle_with_a_certificate",
    "berth.issuer_networks": "gitlab/trusted_issuers/test_discovery.py::test_where_no_issuer_may_be_nobody_calls",
    "berth.issuer_ca_bundle": "gitlab/trusted_issuers/test_discovery.py::test_the_certificates_that_are_trusted",
    "berth.secret_key": f"{_NODE}::test_sessions_are_signed_with_the_secret_key",
    "berth.events_secret": "e2e/test_foreign_registry.py::test_notifications_want_the_secret",
    "berth.metrics_networks": f"{_NODE}::test_who_may_see_numbers",
    "berth.metrics_token": f"{_NODE}::test_who_may_see_numbers",
    "berth.worker_metrics_addr": "system/test_metrics.py::test_a_worker_with_an_address_of_its_own",
    "berth.log_format": "system/test_logs.py::test_each_line_is_an_event",
    "berth.log_level": "gitlab/server/test_logs.py::test_the_level",
    "berth.access_log": "system/test_logs.py::test_a_line_of_a_request",
    "berth.debug": "gitlab/ui/test_pages.py::test_is_for_development",
    "berth.crash_at": "registry/test_crashes.py::test_a_push_that_dies",
    "berth.limits.namespace_bytes": "gitlab/quotas/test_quotas.py::test_the_default_holds_at_the_top_unless_an_administrator_says_otherwise",
    "berth.limits.namespace_images": "gitlab/quotas/test_quotas.py::test_the_default_holds_at_the_top_unless_an_administrator_says_otherwise",
    "berth.limits.uploads_per_person": "registry/test_quotas.py::test_uploads_of_one_person_at_once",
    "berth.limits.projects_per_hour": "gitlab/authorization/test_new_projects.py::test_more_than_may_are_refused",
    "berth.limits.tokens_per_person": "gitlab/access_tokens/test_how_many.py::test_more_than_may_are_refused",
    "berth.rate_limits.failed_logins": f"{_NODE}::test_rates",
    "berth.rate_limits.failed_logins_per_address": f"{_NODE}::test_rates",
    "berth.rate_limits.per_user": "gitlab/server/test_rate_limit.py::test_pages_for_somebody",
    "berth.rate_limits.per_token": f"{_NODE}::test_the_rate_of_a_token",
    "berth.rate_limits.per_address": f"{_NODE}::test_rates",
    "berth.oidc.name.label": f"{_PROVIDERS}/test_openid_connect.py::test_the_button",
    "berth.oidc.name.issuer": f"{_PROVIDERS}/test_openid_connect.py::test_there_and_back",
    "berth.oidc.name.client_id": f"{_PROVIDERS}/test_openid_connect.py::test_there_and_back",
    "berth.oidc.name.client_secret": f"{_PROVIDERS}/test_openid_connect.py::test_a_public_client_sends_no_secret",
    "berth.oidc.name.scopes": f"{_PROVIDERS}/test_openid_connect.py::test_there_and_back",
    "berth.oidc.name.username_claim": f"{_PROVIDERS}/test_people.py::test_claims_by_other_names",
    "berth.oidc.name.groups_claim": f"{_PROVIDERS}/test_people.py::test_claims_by_other_names",
    "berth.oidc.name.trust_emails": f"{_PROVIDERS}/test_people.py::test_a_provider_whose_addresses_are_trusted",
    "berth.oidc.name.create_users": f"{_PROVIDERS}/test_people.py::test_nobody_is_made_where_that_is_off",
    "berth.oidc.name.link_by_email": f"{_PROVIDERS}/test_people.py::test_a_verified_one_links_where_that_is_on",
    "berth.oidc.name.allowed_domains": f"{_PROVIDERS}/test_people.py::test_domains",
    "berth.oidc.name.allowed_groups": f"{_PROVIDERS}/test_people.py::test_is_blocked_and_so_are_their_tokens",
    "berth.oidc.name.admin_group": f"{_PROVIDERS}/test_people.py::test_as_long_as_they_are_in_the_group",
    "berth.oidc.name.memberships": f"{_PROVIDERS}/test_people.py::test_they_give_and_take",
    "berth.oidc.name.second_factor": f"{_PROVIDERS}/test_people.py::test_unless_the_provider_asks_for_one",
    "berth.oidc.name.absent_after": f"{_PROVIDERS}/test_absence.py::test_who_stays_away_is_deactivated",
    "berth.ldap.name.label": f"{_DIRECTORIES}/test_door.py::test_on_the_page",
    "berth.ldap.name.servers": "e2e/test_ldap.py::test_the_next_server_is_asked",
    "berth.ldap.name.start_tls": "e2e/test_ldap.py::test_start_tls",
    "berth.ldap.name.ca_file": "e2e/test_ldap.py::test_an_authority_that_is_not_known",
    "berth.ldap.name.bind_dn": "e2e/test_ldap.py::test_the_doctor",
    "berth.ldap.name.bind_password_file": "e2e/test_ldap.py::test_a_file_that_others_can_read",
    "berth.ldap.name.users_base": "e2e/test_ldap.py::test_a_base_that_is_not_there_is_no_empty_answer",
    "berth.ldap.name.user_filter": "e2e/test_ldap.py::test_the_doctor",
    "berth.ldap.name.login_attributes": f"{_DIRECTORIES}/test_door.py::test_other_attributes",
    "berth.ldap.name.id_attribute": f"{_DIRECTORIES}/test_names.py::test_an_id_of_active_directory",
    "berth.ldap.name.username_attribute": f"{_DIRECTORIES}/test_door.py::test_other_attributes",
    "berth.ldap.name.email_attribute": f"{_DIRECTORIES}/test_door.py::test_other_attributes",
    "berth.ldap.name.name_attribute": f"{_DIRECTORIES}/test_door.py::test_other_attributes",
    "berth.ldap.name.groups_base": "e2e/test_ldap.py::test_groups",
    "berth.ldap.name.group_filter": "e2e/test_ldap.py::test_groups",
    "berth.ldap.name.group_member": "e2e/test_ldap.py::test_groups",
    "berth.ldap.name.nested_groups": "e2e/test_ldap.py::test_groups",
    "berth.ldap.name.create_users": f"{_DIRECTORIES}/test_door.py::test_nobody_is_made_where_that_is_off",
    "berth.ldap.name.link_by_email": f"{_DIRECTORIES}/test_door.py::test_unless_the_settings_say_so",
    "berth.ldap.name.allowed_groups": f"{_DIRECTORIES}/test_door.py::test_those_that_may_come_in",
    "berth.ldap.name.admin_group": f"{_DIRECTORIES}/test_door.py::test_administrators",
    "berth.ldap.name.memberships": f"{_DIRECTORIES}/test_door.py::test_they_give_and_take",
    "berth.ldap.name.timeout": "e2e/test_ldap.py::test_one_that_says_nothing",
}


@cache
def _tests_of(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_there_is_no_other_key() -> None:
    assert set(SHOWN_BY) - set(KEYS) == set()


@pytest.mark.parametrize("key", KEYS)
def test_a_test_shows_the_effect_of(key: str) -> None:
    assert key in SHOWN_BY, f"which test shows what {key} does?"
    path, _, name = SHOWN_BY[key].partition("::")
    assert name in _tests_of(path), f"{path} has no test {name}"

"""Every page with a thousand rows of the longest names there may be: it ends all the same."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, reverse

from gitlab.accounts.models import User
from gitlab.admin_area.tokens import KINDS
from gitlab.api import description
from gitlab.container_registry.cleanup.models import CleanupRun
from gitlab.container_registry.models import (
    ContainerRepository,
)
from gitlab.namespaces.models import GroupLink
from gitlab.record.inventory import INVENTORIES
from tests.gitlab.largest_content import *  # noqa: F403
from tests.gitlab.largest_content import GROUP, PROJECT, long, other_image, rules_of, trust_of
from tests.gitlab.played_registry import digest

pytestmark = pytest.mark.django_db
MAX_ANSWER = 2 * 1024 * 1024
MAX_QUERIES = 15
MAX_SECONDS = 20.0
"""Of the processor: many times what the dearest takes, so that it says what never ends, and not how
fast the machine is. Times are measured in `benchmarks/`."""

MAX_MEMORY = 50 * 1024 * 1024


def addresses(files: str) -> dict[str, list[str]]:
    """By the name of each route what is asked of it."""
    image = ContainerRepository.objects.get(path=f"{PROJECT}/web")
    cleanup = CleanupRun.objects.latest("pk").pk
    group, project = {"path": GROUP}, {"path": PROJECT}
    own = {"path": PROJECT, "pk": image.pk}
    member = {"username": long("p", 0, 150)}

    def link(**where: str) -> int:
        return GroupLink.objects.filter(**where).latest("pk").pk

    tag = {"tag": long("t", 0, 128)}
    asked: dict[str, list[dict[str, Any]]] = {
        "namespaces:projects": [{}],
        "namespaces:groups": [{}],
        "namespaces:explore": [{}],
        "namespaces:project_new": [{}],
        "namespaces:group_new": [{}],
        "namespaces:overview": [group, project],
        "namespaces:group_edit": [group],
        "namespaces:group_delete": [group],
        "namespaces:group_members": [group],
        "namespaces:group_member_edit": [{**group, **member}],
        "namespaces:group_member_remove": [{**group, **member}],
        "namespaces:group_link_new": [group],
        "namespaces:group_link_remove": [{**group, "pk": link(namespace__full_path=GROUP)}],
        "namespaces:project_link_new": [project],
        "namespaces:project_link_remove": [{**project, "pk": link(project__full_path=PROJECT)}],
        "namespaces:project_edit": [project],
        "namespaces:project_delete": [project],
        "namespaces:project_members": [project],
        "namespaces:project_member_edit": [{**project, **member}],
        "namespaces:project_member_remove": [{**project, **member}],
        "invitations:group": [group],
        "invitations:project": [project],
        "quotas:group": [group],
        "quotas:project": [project],
        "quotas:image": [own],
        "activity:group": [group],
        "activity:project": [project],
        "activity:pushes": [project],
        "activity:image_pushes": [own],
        "path_changes:group": [group],
        "path_changes:group_transfer": [group],
        "path_changes:project": [project],
        "path_changes:transfer": [project],
        "accounts:profile": [{}],
        "accounts:password": [{}],
        "accounts:sessions": [{}],
        "mfa_index": [{}],
        "access_tokens:index": [{}],
        "access_tokens:new": [{}],
        **{
            f"access_tokens:{kind}_{page}": [where]
            for kind, where in (("group", group), ("project", project))
            for page in ("access_tokens", "access_token_new", "deploy_tokens", "deploy_token_new")
        },
        **{
            f"trusted_issuers:{kind}_{page}": [where]
            for kind, where in (("group", group), ("project", project))
            for page in ("trusted_issuers", "trusted_issuer_new")
        },
        **{
            f"trusted_issuers:{kind}_trusted_issuer": [{**where, "pk": trust_of(kind)}]
            for kind, where in (("group", group), ("project", project))
        },
        "record:own": [{}],
        "record:own_denials": [{}],
        "record:denial": [{"reference": "D0000"}],
        "record:project_denials": [project],
        "record:group": [group],
        "record:group_denials": [group],
        "record:project": [project],
        "record:project_pulls": [project],
        "access_tokens:project_runners": [project],
        "access_tokens:project_runner_new": [project],
        "signatures:group_keys": [group],
        "signatures:project_keys": [project],
        "signatures:group_identities": [group],
        "signatures:project_identities": [project],
        "api:description": [{}],
        "api:openapi": [{}],
        "cleanup:project": [project],
        "cleanup:policy": [project],
        "cleanup:group": [group],
        "cleanup:run": [{**project, "pk": cleanup}],
        "cleanup:progress": [{**project, "pk": cleanup}],
        "container_registry:index": [project],
        "container_registry:deleted": [project],
        "container_registry:repository": [own],
        "container_registry:untagged": [own],
        "container_registry:help": [project],
        "container_registry:pull_secret": [project],
        "container_registry:progress": [own],
        "container_registry:delete": [own],
        "container_registry:tags_delete": [own],
        "container_registry:tag": [{**own, **tag}],
        "container_registry:compare": [own],
        "container_registry:compare_progress": [own],
        "container_registry:manifest": [{**own, "digest": digest(each)} for each in "ab"],
        "container_registry:document": [{**own, "digest": digest(each)} for each in "ab"],
        "container_registry:file": [{**own, "digest": digest("b"), "layer": digest("5")}],
        "layers:files": [{**own, "digest": files}],
        "layers:progress": [{**own, "digest": files}],
        **{
            f"protection:{kind}_{page}": [{**where, **more} for more in some]
            for kind, where in (("group", group), ("project", project))
            for page, some in (
                ("index", [{}]),
                ("new", [{"of": "tags"}, {"of": "images"}]),
                ("edit", rules_of(where["path"])),
                ("matches", [{"of": "tags"}, {"of": "images"}]),
            )
        },
        "home": [{}],
        "search": [{}],
    }
    found = {
        name: [reverse(name, kwargs=kwargs) for kwargs in some] for name, some in asked.items()
    }
    pair = f"?{urlencode({'from': files, 'to': other_image()})}"
    for page in ("compare", "compare_progress"):
        found[f"container_registry:{page}"][0] += pair
    hundred = urlencode({"selected": [long("t", number, 128) for number in range(100)]}, doseq=True)
    found["container_registry:tags_delete"][0] += f"?{hundred}"
    found["container_registry:document"][0] += "?of=config"
    found["search"] = [f"{found['search'][0]}?q={text}" for text in ("xx", "acme", "t0")]
    for kind in ("group", "project"):
        tags, images = found[f"protection:{kind}_matches"]
        found[f"protection:{kind}_matches"] = [
            f"{tags}?tag_name_pattern=x",
            f"{images}?repository_path_pattern=acme*",
        ]
    return found


ELSEWHERE = {
    "accounts:sign_in": "lists nothing",
    "identity_providers:own": "one row a provider, and there are at most twenty",
    "identity_providers:link": "lists nothing",
    "identity_providers:unlink": "lists nothing",
    "identity_providers:begin": "leads to a provider",
    "identity_providers:callback": "comes from a provider",
    "accounts:sign_out": "lists nothing",
    "accounts:sign_up": "lists nothing",
    "accounts:sign_up_by_link": "lists nothing",
    "user_deletion:ask": "lists ten of each",
    "user_deletion:keep": "a POST",
    "invitations:show": "lists nothing",
    "invitations:decline": "a POST",
    "invitations:sign_up": "lists nothing",
    "invitations:group_send": "a POST",
    "invitations:project_send": "a POST",
    "invitations:group_withdraw": "of one, with less than the list",
    "invitations:project_withdraw": "of one, with less than the list",
    "accounts:end_session": "a POST",
    "accounts:end_sessions": "a POST",
    **dict.fromkeys(
        (
            "account_login",
            "account_reauthenticate",
            "account_reset_password",
            "account_reset_password_from_key",
            "mfa_authenticate",
            "mfa_login_webauthn",
            "mfa_reauthenticate",
            "mfa_reauthenticate_webauthn",
            "mfa_activate_totp",
            "mfa_deactivate_totp",
            "mfa_add_webauthn",
            "mfa_remove_webauthn",
            "mfa_view_recovery_codes",
            "mfa_generate_recovery_codes",
        ),
        "one factor, or one question",
    ),
    "access_tokens:revoke": "one token",
    "access_tokens:rotate": "one token",
    **{
        f"access_tokens:{kind}_{page}": "one token"
        for kind in ("group", "project")
        for page in ("access_token_revoke", "access_token_rotate", "deploy_token_revoke")
    },
    **{
        f"trusted_issuers:{kind}_trusted_issuer_{page}": "one trust"
        for kind in ("group", "project")
        for page in ("try", "revoke")
    },
    "access_tokens:project_runner_revoke": "one runner",
    "access_tokens:project_runner_allow": "a POST",
    "access_tokens:project_runner_disallow": "a POST",
    "namespaces:project_archive": "a POST",
    "activity:star": "a POST",
    "cleanup:plan": "a POST",
    "cleanup:choose": "a POST",
    **{f"cleanup:{verb}": "a POST" for verb in ("approve", "cancel", "undo")},
    **{f"protection:{kind}_delete": "one rule" for kind in ("group", "project")},
    "layers:list": "a POST",
    **{f"signatures:{kind}_key_delete": "one key" for kind in ("group", "project")},
    **{f"signatures:{kind}_identity_delete": "one" for kind in ("group", "project")},
    "container_registry:compare_files": "a POST",
    "container_registry:events": "takes notifications",
    "container_registry:restore": "a POST",
    "container_registry:tag_restore": "one tag",
    "tokens:auth": "a token",
    "ui:components": "the gallery",
    "ui:theme": "a POST",
    "admin_area:home": "leads to the console",
    "admin_area:cleanup": "the form of one policy",
    "record:inventories": "leads to the first",
    "record:inventory": "asked with the console",
    "record:instance": "asked with the console",
    "record:denials": "asked with the console",
    "admin_area:doctor": "asks other processes",
    "admin_area:mail": "a few settings",
    "admin_area:settings": "a few settings",
    "admin_area:announcements": "asked with the console",
    "admin_area:announcement": "one form",
    "admin_area:announcement_new": "one form",
    "admin_area:announcement_delete": "one question",
    "broadcast_messages:dismiss": "a POST",
    "admin_area:people": "asked with the console",
    "admin_area:person": "asked with the console",
    "admin_area:person_new": "an empty form",
    "admin_area:people_act": "asked with the console",
    "admin_area:projects": "asked with the console",
    "admin_area:projects_act": "asked with the console",
    "admin_area:groups": "asked with the console",
    "admin_area:groups_act": "asked with the console",
    "admin_area:images": "asked with the console",
    "admin_area:images_act": "asked with the console",
    "admin_area:tokens": "leads to the first",
    "admin_area:tokens_of": "asked with the console",
    "admin_area:tokens_act": "asked with the console",
}


def routes() -> Iterator[str]:
    """The name of each route of a page."""
    for outer in get_resolver().url_patterns:
        space = getattr(outer, "namespace", None)
        if isinstance(outer, URLPattern):
            yield outer.name or ""
        elif space != "admin":
            for inner in outer.url_patterns:
                if isinstance(inner, URLPattern) and inner.name:
                    yield f"{space}:{inner.name}" if space else inner.name


def assert_ends(client: Client, path: str) -> None:
    """One page: its size, the queries, the processor's time, the peak of its memory."""
    description.openapi()  # Made once in a process.
    # What Python holds is the same on both engines. Measuring it takes several times as long as
    # the page, which its limit has room for: so each page is made once.
    measures = connection.vendor == "sqlite"
    if measures:
        tracemalloc.start()
    try:
        started = time.process_time()
        with CaptureQueriesContext(connection) as captured:
            response = client.get(path)
        spent = time.process_time() - started
        peak = tracemalloc.get_traced_memory()[1] if measures else 0
    finally:
        tracemalloc.stop()
    assert response.status_code == 200, (path, response)
    assert len(response.content) < MAX_ANSWER, path
    assert len(captured) <= MAX_QUERIES, path
    assert spent < MAX_SECONDS, (path, spent)
    assert peak < MAX_MEMORY, path


# On one engine: a page's own tests ask its queries on both, and that such rows fit into the columns
# of both is what the console's lists begin with.
@pytest.mark.engineless
def test_every_page_ends(files: str, alice: User, settings: Any) -> None:
    settings.SIGSTORE_TRUST_ROOT = Path("nowhere")
    asked = addresses(files)
    assert set(routes()) == asked.keys() | ELSEWHERE.keys(), "a new page is asked here too"
    client = Client()
    client.force_login(alice)
    for path in (path for some in asked.values() for path in some):
        assert_ends(client, path)


def test_every_list_of_the_console_ends(content: None, root: User) -> None:
    client = Client()
    client.force_login(root)
    for page in ("admin:index", "admin_area:announcements", "record:instance", "record:denials"):
        assert_ends(client, reverse(page))
    for key in INVENTORIES:
        assert_ends(client, reverse("record:inventory", args=[key]))
    lists = [reverse(f"admin_area:{name}") for name in ("people", "projects", "groups", "images")]
    lists += [reverse("admin_area:tokens_of", args=[kind]) for kind in KINDS]
    for listed in lists:
        for query in ("", "?q=x", "?sort=-created_at", "?sort=-size", "?sort=path"):
            assert_ends(client, listed + query)
    for username in User.objects.order_by("-pk").values_list("username", flat=True)[:2]:
        assert_ends(client, reverse("admin_area:person", args=[username]))
    chosen = urlencode([("selected", "x" * 255)] * 200)
    for name in ("people_act", "projects_act", "groups_act", "images_act"):
        asked = client.get(reverse(f"admin_area:{name}", args=["delete"]) + f"?{chosen}")
        assert asked.status_code == 302
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listed = reverse(f"{name}_changelist")
        for path in (listed, f"{listed}?all=", f"{listed}?q=x"):
            assert_ends(client, path)
        row = model._default_manager.latest("pk")
        for part in ("change", "history"):
            assert_ends(client, reverse(f"{name}_{part}", args=[row.pk]))

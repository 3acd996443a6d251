"""The console: every page opens, in the frame, with the tokens' colours, for administrators
only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

import gitlab.admin_area
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.admin_area import site
from gitlab.admin_area.tokens import KINDS
from gitlab.audit.models import AuditEvent
from gitlab.container_registry.cleanup.models import CleanupPolicy, CleanupRun
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.container_registry.protection.models import RepositoryRule, TagRule
from gitlab.identity_providers.models import Identity
from gitlab.quotas.models import Quota
from gitlab.trusted_issuers import services as trusted_issuers
from gitlab.trusted_issuers.models import TrustedIssuer
from gitlab.ui.console import ReadOnlyAdmin

pytestmark = pytest.mark.django_db
CONSOLE = Path(gitlab.admin_area.__file__).parent
MODELS = {model._meta.label_lower: model for model in site.discover()._registry}


@pytest.fixture
def content(
    alice: Any,
    bob: Any,
    make_group: Any,
    make_project: Any,
    make_image: Any,
    make_token: Any,
    make_deploy_token: Any,
    make_runner: Any,
) -> None:
    """A row of every model."""
    make_group("acme", owner=alice, developers=[bob])
    app = make_project("acme/app", reporters=[bob])
    make_token(alice, "api")
    make_deploy_token(app)
    make_runner(app)
    Identity.objects.create(user=bob, provider="sso", issuer="https://sso.example.com", subject="1")
    TrustedIssuer.objects.create(
        project=app, name="GitHub", issuer="https://ci.example.com", conditions={"sub": "x"}
    )
    reason = "UNSUPPORTED: <deletion> is off"
    make_image(
        "acme/app/web",
        of=app,
        status="delete_failed",
        failed_deletion_count=5,
        failure_reason=reason,
    )
    image = make_image("acme/app/api", of=app)
    TagRule.objects.create(project=app, tag_name_pattern="^v")
    RepositoryRule.objects.create(namespace=app.namespace, minimum_access_level_for_push=40)
    BulkTagDeletion.objects.create(repository=image, by=alice, name_regex_delete="dev-.*")
    Quota.objects.create(project=app, max_bytes=1000)
    CleanupPolicy.objects.create(project=app)
    CleanupRun.objects.create(project=app, status="planned")


def changelist(label: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist")


@pytest.mark.parametrize("label", MODELS)
def test_every_list_and_every_form_opens(content: Any, console: Any, label: Any) -> None:
    url = changelist(label)
    model = MODELS[label]
    page = console.get(url)
    text = page.content.decode()
    assert page.status_code == 200
    assert 'class="console' in text
    assert f'href="{url}" aria-current="page"' in text
    rows = list(model._default_manager.all()[:3])
    assert rows
    for row in rows:
        for part in ("change", "history"):
            assert console.get(f"{url}{row.pk}/{part}/").status_code == 200
    searched = console.get(url, {"q": "a"})
    assert searched.status_code == 200
    for column in range(1, len(admin.site._registry[model].list_display) + 1):
        assert console.get(url, {"o": f"-{column}"}).status_code == 200


@pytest.mark.parametrize("label", MODELS)
def test_adding_opens_where_there_is_any(console: Any, label: Any) -> None:
    added = console.get(f"{changelist(label)}add/").status_code
    assert added == 403


def test_what_it_has() -> None:
    assert set(MODELS) == {
        "trusted_issuers.trustedissuer",
        "identity_providers.identity",
        "namespaces.member",
        "container_registry.bulktagdeletion",
        "cleanup.cleanuppolicy",
        "cleanup.cleanuprun",
        "protection.repositoryrule",
        "protection.tagrule",
        "quotas.quota",
        "audit.auditevent",
    }


def test_pages_have_nothing_inline(content: Any, console: Any) -> None:
    urls = [reverse("admin:index"), *(changelist(label) for label in MODELS)]
    pages = ("people", "person_new", "projects", "groups", "images")
    urls += [reverse(f"admin_area:{name}") for name in pages]
    urls += [reverse("admin_area:tokens_of", args=[kind]) for kind in KINDS]
    urls += ["/admin/people/alice/", "/admin/people/-/block?selected=alice"]
    for url in urls:
        text = console.get(url).content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", text), url
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), url


@pytest.mark.parametrize("label", MODELS)
def test_titles_are_in_our_words(content: Any, console: Any, label: Any) -> None:
    """Not “Select user to change”."""
    text = console.get(changelist(label)).content.decode()
    title = re.search(r"<title>([^<]*)", text)
    assert title
    assert "Select" not in title[1]
    assert "to change" not in text


def test_the_theme_is_the_pages_own(console: Any) -> None:
    console.cookies["theme"] = "dark"
    assert 'data-theme="dark"' in console.get(reverse("admin:index")).content.decode()


def test_the_overview_names_failed_deletions(content: Any, console: Any) -> None:
    page = console.get(reverse("admin:index")).content.decode()
    assert "1 image could not be deleted" in page
    assert "UNSUPPORTED: &lt;deletion&gt; is off" in page
    ContainerRepository.objects.update(status=None)
    assert "Nothing waits" in console.get(reverse("admin:index")).content.decode()


def test_cleanups_are_cancelled(content: Any, console: Any, enqueued: Any) -> None:
    run = CleanupRun.objects.get()
    asked = {"action": "cancel", "_selected_action": [run.pk]}
    for says in ("1 cleanup(s) cancelled.", "0 cleanup(s) cancelled."):
        page = console.post(changelist("cleanup.cleanuprun"), asked, follow=True)
        assert says in page.content.decode()
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_no_secret_is_shown(content: Any, console: Any, alice: Any) -> None:
    token = PersonalAccessToken.objects.get(user=alice)
    for page in ("/admin/tokens/access/", "/admin/people/alice/"):
        text = console.get(page).content.decode()
        assert token.digest not in text
        assert alice.password not in text


def test_what_happened_to_a_row(content: Any, console: Any, root: Any) -> None:
    trust = trusted_issuers.revoke(root, TrustedIssuer.objects.get())
    url = f"{changelist('trusted_issuers.trustedissuer')}{trust.pk}/change/"
    link = re.search(r'href="([^"]+target_id__exact[^"]+)"', console.get(url).content.decode())
    assert link
    found = console.get(link[1].replace("&amp;", "&")).context["cl"].result_list
    assert [event.action for event in found] == ["trusted_issuer.revoke"]


def test_the_record_is_for_reading(content: Any, console: Any) -> None:
    event = AuditEvent.objects.first()
    url = f"{changelist('audit.auditevent')}{event.pk}/"
    assert console.post(f"{url}change/", {"action": "x"}).status_code == 403
    assert console.post(f"{url}delete/", {"post": "yes"}).status_code == 403


def test_only_administrators(alice: Any) -> None:
    client = Client()
    visitor = client.get("/admin/", follow=True)
    assert visitor.redirect_chain[-1] == ("/users/sign_in?next=/admin/", 302)
    assert client.get("/admin/login/?next=https://elsewhere.example/").url.endswith("next=/admin/")
    client.force_login(alice)
    refused = client.get("/admin/", follow=True)
    assert refused.status_code == 403
    assert "for administrators" in refused.content.decode()


def test_the_frame_leads_there(console: Any, alice: Any) -> None:
    assert console.get("/admin").url == "/admin/"
    assert 'href="/admin"' in console.get("/").content.decode()
    client = Client()
    client.force_login(alice)
    assert 'href="/admin"' not in client.get("/").content.decode()


def test_the_sheet_uses_tokens_only() -> None:
    sheet = (CONSOLE / "static/admin_area/console.css").read_text()
    tokens = (CONSOLE.parent / "ui/static/ui/tokens.css").read_text()
    assert not re.search(r"#[0-9a-f]{3,8}\b(?=[;\s])|rgb|hsl|@import|url\(", sheet)
    assert set(re.findall(r"var\((--[\w-]+)", sheet)) <= set(re.findall(r"(--[\w-]+):", tokens))


@pytest.mark.parametrize("label", MODELS)
def test_no_row_is_written_past_the_services(label: Any) -> None:
    """Of each list of Django's: nothing is written by a form, and nothing is deleted."""
    shown = admin.site._registry[MODELS[label]]
    assert isinstance(shown, ReadOnlyAdmin)
    for name in ("save_model", "save_related", "save_formset", "delete_model", "delete_queryset"):
        assert name not in vars(type(shown)), f"{label} has a {name} of its own"
    for name in ("has_add_permission", "has_change_permission", "has_delete_permission"):
        assert getattr(type(shown), name) is getattr(ReadOnlyAdmin, name)
    assert not shown.inlines
    assert not shown.list_editable


@pytest.mark.parametrize(
    ("address", "to"),
    [("/admin", "/admin/"), ("/admin/password_change/", "/-/user_settings/password")],
)
def test_short_addresses_keep_the_query(client: Any, address: Any, to: Any) -> None:
    assert client.get(f"{address}?a=b%20c")["Location"] == f"{to}?a=b%20c"

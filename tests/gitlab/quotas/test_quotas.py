"""Quotas: who sets them, which ones hold, what a token says of them, and what pages show."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from gitlab.audit.models import AuditEvent
from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.authorization.credentials.password import identity_of
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import Used
from gitlab.namespaces.models import Namespace, Project
from gitlab.quotas import services
from gitlab.quotas.models import Quota
from gitlab.refusals import Forbidden, NotFound
from gitlab.revocations.models import Revocation
from tokens.access import Access

pytestmark = pytest.mark.django_db

PROJECT, GROUP = "/acme/app/-/storage", "/groups/acme/-/storage"
ALL = frozenset(["read", "create", "delete", "admin"])
ASK = "an administrator"


def meta(user: Any, scope: str = "repository:acme/app/web:pull,push") -> Any:
    identity = identity_of(user, "personal_access_token", ALL)
    authorizer = GitLabAuthorizer()
    granted = authorizer.record(identity, authorizer.authorize(identity, [Access.parse(scope)]))
    return granted[0].meta.get("quota")


def limited(by: Any, owner: Any, size: int | None = None, images: int | None = None) -> Quota:
    return services.set_quota(by, owner, max_bytes=size, max_images=images)


# Who


def test_administrators_limit_everything(root: Any, acme: Any, app: Any, bob: Any) -> None:
    for owner in (acme, app, bob.namespace):
        assert limited(root, owner, 100).set_by_admin
    (event,) = AuditEvent.objects.filter(action="quota.update", target_path="acme")
    assert event.details == {"max_bytes": [None, 100], "max_images": [None, None]}


def test_owners_limit_theirs_below_what_holds(root: Any, alice: Any, acme: Any, app: Any) -> None:
    assert not limited(alice, acme, 50).set_by_admin
    limited(root, acme, 100, 10)
    with pytest.raises(Forbidden):
        limited(alice, acme, 50)
    assert limited(alice, app, 100).max_bytes == 100
    for size, images in ((101, None), (None, 11)):
        with pytest.raises(ValidationError, match="the limit of acme"):
            limited(alice, app, size, images)
    limited(root, app, 101)
    with pytest.raises(Forbidden):
        limited(alice, app, None)


def test_nobody_else_does(acme: Any, app: Any, bob: Any, carol: Any, mallory: Any) -> None:
    for somebody in (bob, carol):
        with pytest.raises(Forbidden):
            limited(somebody, app, 1)
    for owner in (acme, app):
        with pytest.raises((NotFound, Forbidden)):
            limited(mallory, owner, 1)
    assert not Quota.objects.exists()


@pytest.mark.parametrize(("size", "images"), [(-1, None), (None, -1), (10**18 + 1, None)])
def test_what_is_no_limit(root: Any, acme: Any, size: Any, images: Any) -> None:
    with pytest.raises(ValidationError):
        limited(root, acme, size, images)
    assert not Quota.objects.exists()


def test_a_change_ends_tokens_below(root: Any, acme: Any) -> None:
    Revocation.objects.all().delete()
    limited(root, acme, 1)
    assert list(Revocation.objects.values_list("path", "told_at")) == [("acme", None)]


# Tokens


def test_a_token_says_every_limit_on_the_way(
    root: Any, alice: Any, bob: Any, acme: Any, app: Any
) -> None:
    assert meta(bob) is None
    limited(root, acme, 100, 7)
    limited(alice, app, 30)
    assert meta(bob) == [
        {"path": "acme", "bytes": 100, "images": 7, "ask": ASK},
        {"path": "acme/app", "bytes": 30, "ask": "an owner of acme/app"},
    ]
    assert meta(bob, "repository:acme/app:pull") is None, "nothing for who only pulls"
    assert meta(alice, "repository:acme/new:push,pull") == [
        {"path": "acme", "bytes": 100, "images": 7, "ask": ASK}
    ], "also for a project that the push creates"


def test_a_limit_that_was_taken_away_is_counted_further(root: Any, bob: Any, acme: Any) -> None:
    limited(root, acme, 100)
    limited(root, acme, None)
    assert meta(bob) == [{"path": "acme"}]
    assert not Quota.objects.get().set_by_admin, "owners may set one again"


def test_the_default_holds_at_the_top_unless_an_administrator_says_otherwise(
    root: Any, alice: Any, bob: Any, acme: Any, app: Any, settings: Any
) -> None:
    settings.QUOTA_BYTES, settings.QUOTA_IMAGES = 500, 5
    default = {"path": "acme", "bytes": 500, "images": 5, "ask": ASK}
    assert meta(bob) == [default]
    limited(alice, acme, 400)
    assert meta(bob) == [default, {"path": "acme", "bytes": 400, "ask": "an owner of acme"}]
    limited(root, acme, 1000)
    assert meta(bob) == [{"path": "acme", "bytes": 1000, "ask": ASK}]


def test_they_cost_no_query_of_their_own(
    root: Any, bob: Any, app: Any, acme: Any, django_assert_max_num_queries: Any
) -> None:
    identity = identity_of(bob, "personal_access_token", ALL)
    asked = [Access.parse(f"repository:acme/app/{n}:pull,push") for n in range(5)]
    limited(root, acme, 1)
    with django_assert_max_num_queries(6):
        GitLabAuthorizer().authorize(identity, asked)


# What is used


def test_what_is_used_of_each_limit(root: Any, bob: Any, acme: Any, app: Any, played: Any) -> None:
    limited(root, acme, 100, 10)
    played.used = {"acme": Used("acme", 96, 3, True), "acme/app": Used("acme/app", 9, 2, True)}
    upper, lower = services.uses(bob, app)
    assert (upper.bytes, upper.images, upper.percent, upper.warning) == (96, 3, 96, 95)
    assert (lower.limit.path, lower.bytes, lower.limit.max_bytes) == ("acme/app", 9, None)


@pytest.mark.parametrize(
    ("used", "images", "percent", "warning"),
    [(79, 1, 79, 0), (80, 1, 80, 80), (94, 1, 94, 80), (95, 1, 95, 95), (10, 8, 80, 80)],
)
def test_warnings(
    root: Any, acme: Any, played: Any, used: int, images: int, percent: int, warning: int
) -> None:
    limited(root, acme, 100, 10)
    played.used = {"acme": Used("acme", used, images, True)}
    (use,) = services.uses(root, acme)
    assert (use.percent, use.warning) == (percent, warning)


# Pages


@pytest.mark.parametrize("base", [PROJECT, GROUP])
def test_who_sees_the_page(
    browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any, acme: Any, played: Any, base: str
) -> None:
    assert browser(alice).get(base).status_code == 200
    assert browser(bob).get(base).status_code == (200 if base == PROJECT else 403)
    assert browser(carol).get(base).status_code == 403
    assert browser(mallory).get(base).status_code in (403, 404)
    assert browser(None).get(base).status_code == 302


def test_the_page_of_ones_own_namespace(browser: Any, bob: Any, played: Any) -> None:
    assert browser(bob).get("/groups/bob/-/storage").status_code == 200


def test_the_form_sets_a_limit(browser: Any, alice: Any, acme: Any, played: Any) -> None:
    page = browser(alice)
    answer = page.post(GROUP, {"size": "1.5", "unit": "GB", "max_images": "20"})
    assert answer.status_code == 302
    assert Quota.objects.values_list("max_bytes", "max_images").get() == (1_500_000_000, 20)
    assert 'value="1.5"' in page.get(GROUP).content.decode()
    page.post(GROUP, {"size": "", "unit": "GB", "max_images": ""})
    assert Quota.objects.values_list("max_bytes", "max_images").get() == (None, None)


def test_the_form_says_what_is_wrong(
    browser: Any, root: Any, alice: Any, acme: Any, app: Any, played: Any
) -> None:
    limited(root, acme, 100)
    answer = browser(alice).post(PROJECT, {"size": "1", "unit": "MB", "max_images": ""})
    assert "At most 100, the limit of acme." in answer.content.decode()
    assert browser(alice).post(GROUP, {"size": "1", "unit": "MB"}).status_code == 403
    assert Quota.objects.count() == 1


def test_the_page_warns(browser: Any, root: Any, alice: Any, acme: Any, played: Any) -> None:
    limited(root, acme, 100)
    for used, said in ((79, ""), (81, "more than 80 %"), (97, "more than 95 %"), (100, "refused")):
        played.used = {"acme": Used("acme", used, 0, True)}
        page = browser(alice).get(GROUP).content.decode()
        assert said in page
        assert ("ask an administrator" in page) == bool(said)


def test_the_page_without_a_registry(browser: Any, alice: Any, acme: Any, played: Any) -> None:
    played.trouble = RegistryUnavailable("gone")
    assert "does not answer" in browser(alice).get(GROUP).content.decode()


def test_the_sidebar_leads_there(browser: Any, alice: Any, carol: Any, acme: Any) -> None:
    for page, base in (("/acme/app", PROJECT), ("/acme", GROUP)):
        assert f'href="{base}"' in browser(alice).get(page).content.decode()
        assert f'href="{base}"' not in browser(carol).get(page).content.decode()


def test_they_follow_their_owner(root: Any, app: Any, acme: Any) -> None:
    limited(root, acme, 1)
    limited(root, app, 1)
    Project.objects.filter(pk=app.pk).delete()
    assert [quota.owner for quota in Quota.objects.all()] == [Namespace.objects.get(pk=acme.pk)]

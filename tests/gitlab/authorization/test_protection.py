"""What protection rules take from a token, what it says of them, and why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.authorization.credentials.password import identity_of
from gitlab.authorization.principals import JobPrincipal, TrustedIssuerPrincipal
from gitlab.container_registry.image_paths import image_paths
from gitlab.container_registry.protection import services
from gitlab.container_registry.protection.models import TagRule
from gitlab.namespaces.models import Namespace, Project
from tokens.access import Access
from tokens.authorizer import AccessForbidden, Identity
from tokens.issue import MAX_TOKEN_LENGTH, Bearer, issue

pytestmark = pytest.mark.django_db
AUTHORIZER = GitLabAuthorizer()
ALL = frozenset(["read", "create", "delete", "admin"])


@pytest.fixture
def app(alice: Any, bob: Any, carol: Any, make_group: Any, make_project: Any) -> Any:
    make_group("acme", owner=alice)
    return make_project("acme/app", owner=alice, developers=[bob], maintainers=[carol])


def asked(user: Any, *scopes: str) -> list[Access]:
    identity = identity_of(user, "personal_access_token", ALL)
    decided = AUTHORIZER.authorize(identity, [Access.parse(scope) for scope in scopes])
    return AUTHORIZER.record(identity, decided)


def granted(user: Any, *scopes: str) -> list[str]:
    return [str(access) for access in asked(user, *scopes)]


def meta(user: Any, scope: str) -> dict[str, Any]:
    found = dict(asked(user, scope)[0].meta)
    for name in ("project_path", "project_id", "root_namespace_id"):
        found.pop(name)
    return found


def protect(by: Any, owner: Any, pattern: str, push: Any = None, delete: Any = None) -> Any:
    return services.create_repository_rule(
        by,
        owner,
        repository_path_pattern=pattern,
        minimum_access_level_for_push=push,
        minimum_access_level_for_delete=delete,
    )


def protect_tags(by: Any, owner: Any, pattern: str, push: Any = None, delete: Any = None) -> Any:
    return services.create_tag_rule(
        by,
        owner,
        tag_name_pattern=pattern,
        minimum_access_level_for_push=push,
        minimum_access_level_for_delete=delete,
    )


def refused(user: Any, *scopes: str) -> str:
    with pytest.raises(AccessForbidden) as forbidden:
        asked(user, *scopes)
    return str(forbidden.value)


def reason(user: Any, name: str, *actions: str) -> str:
    identity = identity_of(user, "personal_access_token", ALL)
    return AUTHORIZER.explain(identity, [Access.repository(name, *actions)]).get(name, "")


IMAGE = "acme/app/web"


def test_an_image_rule_takes_what_it_denies_and_leaves_the_rest(
    alice: Any, bob: Any, carol: Any, app: Any
) -> None:
    protect(alice, app, "acme/app/web*", push=40, delete=50)
    scope = f"repository:{IMAGE}:pull,push,delete"
    assert granted(carol, scope) == [f"repository:{IMAGE}:pull,push"]
    assert granted(alice, scope) == [scope]
    assert granted(bob, f"repository:{IMAGE}:pull") == [f"repository:{IMAGE}:pull"]
    # A push is refused as a whole, as GitLab does, so that docker shows why.
    assert refused(bob, scope) == (
        f'{IMAGE} is protected by rule "acme/app/web*": pushing takes the role Maintainer'
    )
    assert granted(bob, "repository:acme/app/other:pull,push") == [
        "repository:acme/app/other:pull,push"
    ]


def test_what_stands_for_all_goes_with_its_parts(alice: Any, carol: Any, app: Any) -> None:
    assert granted(carol, f"repository:{IMAGE}:*") == [f"repository:{IMAGE}:*"]
    protect(alice, app, "acme/app*", delete=50)
    assert granted(carol, f"repository:{IMAGE}:*") == []
    assert granted(alice, f"repository:{IMAGE}:*") == [f"repository:{IMAGE}:*"]


def test_an_administrator_passes_what_is_for_administrators(
    alice: Any, root: Any, app: Any
) -> None:
    protect(alice, app, "acme/app*", push=60)
    assert "takes an administrator" in refused(alice, "repository:acme/app:push")
    assert granted(root, "repository:acme/app:push") == ["repository:acme/app:push"]


def test_a_groups_rule_reaches_down(alice: Any, carol: Any, app: Any) -> None:
    protect(alice, Namespace.objects.get(full_path="acme"), "acme/*/web", push=50)
    assert 'rule "acme/*/web"' in refused(carol, f"repository:{IMAGE}:push")
    assert granted(alice, f"repository:{IMAGE}:push") == [f"repository:{IMAGE}:push"]


def test_a_groups_rule_holds_for_a_project_that_a_push_would_make(
    alice: Any, bob: Any, make_group: Any
) -> None:
    zeta = make_group("zeta", owner=alice, developers=[bob])
    protect(alice, zeta, "zeta/new*", push=40)
    assert 'rule "zeta/new*"' in refused(bob, "repository:zeta/new/web:push,pull")
    assert not Project.objects.filter(full_path="zeta/new").exists()
    protect_tags(alice, zeta, "^v", push=60, delete=60)
    (access,) = asked(bob, "repository:zeta/other:push")
    assert access.meta["project_path"] == "zeta/other"
    assert access.meta["tag_deny_access_patterns"] == {"push": ["^v"]}


def test_the_reason_is_told_to_those_who_see_the_project(
    alice: Any, bob: Any, carol: Any, mallory: Any, app: Any
) -> None:
    protect(alice, app, "acme/app/web*", push=40, delete=50)
    rule = '"acme/app/web*"'
    assert reason(bob, IMAGE, "push") == (
        f"{IMAGE} is protected by rule {rule}: pushing takes the role Maintainer"
    )
    assert reason(carol, IMAGE, "delete") == (
        f"{IMAGE} is protected by rule {rule}: deleting takes the role Owner"
    )
    # A developer could not delete images without the rule either.
    assert reason(bob, IMAGE, "delete") == ""
    assert "protected" not in reason(mallory, IMAGE, "push", "delete")
    assert reason(carol, "acme/app/other", "push") != reason(bob, IMAGE, "push")


def test_a_token_carries_the_tag_rules_of_whoever_has_it(
    alice: Any, bob: Any, carol: Any, root: Any, app: Any
) -> None:
    assert meta(bob, f"repository:{IMAGE}:pull,push") == {}
    protect_tags(alice, app, "^latest$", push=40, delete=40)
    protect_tags(alice, Namespace.objects.get(full_path="acme"), "^v", delete=50, push=50)
    protect_tags(alice, app, r"^v\d+$")
    immutable = {"tag_immutable_patterns": [r"^v\d+$"]}
    push = f"repository:{IMAGE}:pull,push"
    both = f"repository:{IMAGE}:push,delete"
    assert meta(bob, push) == {
        "tag_deny_access_patterns": {"push": ["^latest$", "^v"]},
        "tag_deny_access_levels": {"push": ["maintainer", "owner"]},
        **immutable,
    }
    assert meta(carol, both)["tag_deny_access_patterns"] == {"push": ["^v"], "delete": ["^v"]}
    nothing = {"tag_deny_access_patterns": {"push": [], "delete": []}, **immutable}
    assert meta(alice, both) == nothing
    assert meta(root, both) == nothing
    assert meta(bob, f"repository:{IMAGE}:pull") == {}


def test_a_job_counts_as_the_person_behind_it(alice: Any, bob: Any, app: Any) -> None:
    """It may delete what a developer may not; a rule asks the developer all the same."""
    protect_tags(alice, app, "^v", push=40, delete=40)
    identity = Identity("bob", "build", principal=JobPrincipal(bob, app.pk))
    scope = [Access.parse(f"repository:{IMAGE}:push,delete")]
    (access,) = AUTHORIZER.authorize(identity, scope)
    assert access.actions == ("push", "delete")
    assert access.meta["tag_deny_access_patterns"] == {"push": ["^v"], "delete": ["^v"]}
    protect(alice, app, "acme/app*", push=40, delete=40)
    with pytest.raises(AccessForbidden):
        AUTHORIZER.authorize(identity, scope)
    assert AUTHORIZER.authorize(identity, [Access.repository(IMAGE, "delete")]) == []


def test_a_deploy_token_counts_as_a_developer(alice: Any, app: Any, make_deploy_token: Any) -> None:
    protect_tags(alice, app, "^v", push=40, delete=40)
    _, text = make_deploy_token(app, username="ci")
    identity = AUTHORIZER.authenticate("ci", text, address="")
    (access,) = AUTHORIZER.authorize(identity, [Access.parse(f"repository:{IMAGE}:pull,push")])
    assert access.meta["tag_deny_access_patterns"] == {"push": ["^v"]}


def test_a_trusted_issuers_token_counts_as_a_developer(alice: Any, app: Any) -> None:
    """It deletes like a maintainer where its trust says so; developers write what runs there."""
    trust = SimpleNamespace(
        namespace_id=None, project_id=app.pk, full_path=app.full_path, images=[], actions=["delete"]
    )
    principal = TrustedIssuerPrincipal(trust, frozenset(["read", "create", "delete"]))  # type: ignore[arg-type]
    (access,) = principal.access_to([image_paths([IMAGE])[IMAGE]]).values()
    assert (access.level, access.rank) == (40, 30)


def test_what_only_pulls_costs_nothing_more(
    bob: Any, app: Any, django_assert_num_queries: Any
) -> None:
    identity = identity_of(bob, "personal_access_token", ALL)
    with django_assert_num_queries(3):
        AUTHORIZER.authorize(identity, [Access.repository(IMAGE, "pull")])
    with django_assert_num_queries(6):
        AUTHORIZER.authorize(identity, [Access.repository(IMAGE, "pull", "push")])


def test_the_longest_rules_fit_into_a_token(alice: Any, bob: Any, app: Any) -> None:
    for number in range(20):
        try:
            protect_tags(alice, app, f"^{number}".ljust(100, "x"), push=40, delete=40)
        except services.Invalid:
            break
    assert TagRule.objects.count() > 5
    found = asked(bob, f"repository:{IMAGE}:pull,push")
    user = {"token_type": "personal_access_token", "username": "b" * 200, "user_id": 10**9}
    token = issue(found, subject="b" * 200, user=user, auth_type=Bearer().auth_type)
    assert len(token.text) < MAX_TOKEN_LENGTH


def test_rules_that_no_token_can_carry_let_nobody_push(alice: Any, bob: Any, app: Any) -> None:
    """A group's may have been made after its projects'. Pulls go on."""
    for owner in (app, Namespace.objects.get(full_path="acme")):
        for number in range(8):
            TagRule.objects.create(
                project=owner if owner is app else None,
                namespace=None if owner is app else owner,
                tag_name_pattern=f"{number}{owner.full_path}".ljust(100, "x"),
                minimum_access_level_for_push=40,
                minimum_access_level_for_delete=40,
            )
    assert "too long together" in refused(bob, f"repository:{IMAGE}:pull,push")
    assert granted(bob, f"repository:{IMAGE}:pull") == [f"repository:{IMAGE}:pull"]
    assert "too long together for a token" in reason(bob, IMAGE, "push")


def test_a_rename_and_a_deletion_still_refuse_as_a_whole(
    alice: Any, bob: Any, app: Any, make_image: Any
) -> None:
    make_image(IMAGE, of=app, status="delete_scheduled")
    protect_tags(alice, app, "^v", push=40, delete=40)
    with pytest.raises(AccessForbidden):
        asked(bob, f"repository:{IMAGE}:push")

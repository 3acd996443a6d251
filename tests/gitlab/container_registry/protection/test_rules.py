"""Rules are made, changed, deleted, inherited; what they may be, and by whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.protection import services
from gitlab.container_registry.protection.models import Level, RepositoryRule, TagRule
from gitlab.namespaces.models import Namespace
from gitlab.path_changes import services as path_changes
from gitlab.refusals import Forbidden, Invalid, NotFound
from gitlab.revocations.models import Revocation
from tests.gitlab.path_changes.renaming import NamesOnly

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(alice: Any, bob: Any, make_group: Any, make_project: Any) -> Any:
    make_group("acme", owner=alice)
    return make_project("acme/app", owner=alice, developers=[bob])


def _tag_rule(by: Any, owner: Any, pattern: str, push: Any = 40, delete: Any = 40) -> TagRule:
    return services.create_tag_rule(
        by,
        owner,
        tag_name_pattern=pattern,
        minimum_access_level_for_push=push,
        minimum_access_level_for_delete=delete,
    )


def _repository_rule(by: Any, owner: Any, pattern: str, push: Any = 40) -> RepositoryRule:
    return services.create_repository_rule(
        by, owner, repository_path_pattern=pattern, minimum_access_level_for_push=push
    )


def test_a_rule_of_tags_is_made_changed_and_deleted(alice: Any, app: Any) -> None:
    rule = _tag_rule(alice, app, "^v", Level.MAINTAINER, Level.OWNER)
    assert list(services.rules_of(alice, app, TagRule)) == [rule]
    services.update(alice, rule, tag_name_pattern="^w", minimum_access_level_for_push=None)
    rule.refresh_from_db()
    assert (rule.tag_name_pattern, rule.minimum_access_level_for_push) == ("^w", None)
    assert not rule.is_immutable
    services.update(alice, rule, minimum_access_level_for_delete=None)
    rule.refresh_from_db()
    assert rule.is_immutable
    services.delete(alice, rule)
    services.delete(alice, rule)
    assert not services.rules_of(alice, app, TagRule).exists()
    assert list(
        AuditEvent.objects.filter(action__startswith="tag_protection_rule")
        .order_by("pk")
        .values_list("action", "target_path")
    ) == [
        ("tag_protection_rule.create", "acme/app"),
        ("tag_protection_rule.update", "acme/app"),
        ("tag_protection_rule.update", "acme/app"),
        ("tag_protection_rule.delete", "acme/app"),
    ]


def test_each_change_ends_the_tokens_below(alice: Any, app: Any) -> None:
    group = Namespace.objects.get(full_path="acme")
    for act in (
        lambda: _tag_rule(alice, app, "^v"),
        lambda: services.update(alice, TagRule.objects.get(), tag_name_pattern="^w"),
        lambda: services.delete(alice, TagRule.objects.get()),
        lambda: _repository_rule(alice, group, "acme/*"),
    ):
        Revocation.objects.all().delete()
        act()
        paths = list(Revocation.objects.values_list("credential", "subject", "path"))
        where = "acme" if RepositoryRule.objects.exists() else "acme/app"
        assert paths == [("", "", where)]


def test_a_change_of_nothing_ends_no_token(alice: Any, app: Any) -> None:
    rule = _tag_rule(alice, app, "^v")
    Revocation.objects.all().delete()
    services.update(alice, rule, tag_name_pattern="^v", minimum_access_level_for_push=40)
    assert not Revocation.objects.exists()
    assert AuditEvent.objects.filter(action="tag_protection_rule.update").count() == 0


def test_who_may(alice: Any, bob: Any, mallory: Any, root: Any, app: Any) -> None:
    rule = _tag_rule(alice, app, "^v")
    for act in (
        lambda by: _tag_rule(by, app, "^w"),
        lambda by: services.update(by, rule, tag_name_pattern="^w"),
        lambda by: services.delete(by, rule),
        lambda by: services.rules_of(by, app, TagRule),
    ):
        with pytest.raises(Forbidden):
            act(bob)
        with pytest.raises(NotFound):
            act(mallory)
    assert _tag_rule(root, app, "^w")


def test_a_groups_rules_are_its_owners(bob: Any, alice: Any, make_group: Any) -> None:
    group = make_group("zeta", owner=alice, maintainers=[bob])
    with pytest.raises(Forbidden):
        _tag_rule(bob, group, "^v")
    assert _tag_rule(alice, group, "^v").namespace == group


def test_a_personal_namespace_has_none(alice: Any) -> None:
    with pytest.raises(NotFound):
        _tag_rule(alice, alice.namespace, "^v")


def test_one_of_another_project_is_not_there(alice: Any, app: Any, make_project: Any) -> None:
    other = make_project("acme/other", owner=alice)
    rule = _tag_rule(alice, other, "^v")
    with pytest.raises(NotFound):
        services.get_for(alice, app, TagRule, rule.pk)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "Write a pattern."),
        ("x" * 101, "At most 100 characters."),
        ("(?=v)", "RE2's: invalid perl operator: (?=, at character 1."),
        ("v(", "missing )"),
        ("^v", "already"),
    ],
)
def test_what_is_no_pattern_of_tags(alice: Any, app: Any, pattern: str, says: str) -> None:
    _tag_rule(alice, app, "^v")
    with pytest.raises(Invalid) as refused:
        _tag_rule(alice, app, pattern)
    assert says in refused.value.message_dict["tag_name_pattern"][0]
    assert TagRule.objects.count() == 1


@pytest.mark.parametrize(
    "pattern", ["", "*", "other/app", "acme/application*", "acme/app" + "x" * 255, "acme/app/x"]
)
def test_what_is_no_pattern_of_images(alice: Any, app: Any, pattern: str) -> None:
    _repository_rule(alice, app, "acme/app/x")
    with pytest.raises(Invalid) as refused:
        _repository_rule(alice, app, pattern)
    assert list(refused.value.message_dict) == ["repository_path_pattern"]
    assert RepositoryRule.objects.count() == 1


def test_a_rule_of_images_says_something(alice: Any, app: Any) -> None:
    with pytest.raises(Invalid):
        _repository_rule(alice, app, "acme/app", push=None)
    rule = _repository_rule(alice, app, "acme/app")
    with pytest.raises(Invalid):
        services.update(alice, rule, minimum_access_level_for_push=None)
    rule.refresh_from_db()
    assert rule.minimum_access_level_for_push == Level.MAINTAINER


def test_the_number_of_rules_has_an_end(alice: Any, app: Any) -> None:
    for number in range(services.MAX_TAG_RULES):
        _tag_rule(alice, app, f"^v{number}$")
    with pytest.raises(Invalid, match="At most 20"):
        _tag_rule(alice, app, "^w")


def test_all_tag_rules_together_fit_into_a_token(alice: Any, app: Any) -> None:
    """Also those of the groups above: a token carries what it denies, and has little room."""
    group = Namespace.objects.get(full_path="acme")
    for number in range(4):
        _tag_rule(alice, group, f"{number}".ljust(100, "x"))
        _tag_rule(alice, app, f"{number}".ljust(100, "y"))
    with pytest.raises(Invalid, match="too long together"):
        _tag_rule(alice, app, "z" * 100)
    assert _tag_rule(alice, app, "short")


def test_a_groups_rules_are_inherited(alice: Any, app: Any, make_project: Any) -> None:
    group = Namespace.objects.get(full_path="acme")
    below = make_project("acme/deep/lib", owner=alice)
    of_group = _tag_rule(alice, group, "^g")
    _tag_rule(alice, app, "^a")
    assert list(services.inherited_by(alice, below, TagRule)) == [of_group]
    assert list(services.inherited_by(alice, app, TagRule)) == [of_group]
    assert not services.inherited_by(alice, group, TagRule)
    assert services.tag_protections(below).what_protects("g1", 30)
    assert services.tag_protections(below).what_protects("a1", 30) is None
    assert services.tag_protections(app).what_protects("g1", 30)
    assert services.tag_protections(app).what_protects("a1", 30)


def test_one_query_tells_of_many_tags(alice: Any, app: Any, django_assert_num_queries: Any) -> None:
    _tag_rule(alice, app, "^v9")
    with django_assert_num_queries(1):
        protections = services.tag_protections(app)
        found = [tag for tag in (f"v{n}" for n in range(1000)) if protections.what_protects(tag)]
    assert len(found) == 111


def test_a_pattern_of_images_follows_the_path(alice: Any, app: Any) -> None:
    rule = _repository_rule(alice, app, "Acme/App/web*")
    assert rule.repository_path_pattern == "acme/app/web*"
    path_changes.change_project_path(alice, app, path="renamed", registry=NamesOnly("acme/app"))
    rule = RepositoryRule.objects.get()
    assert rule.repository_path_pattern == "acme/renamed/web*"


@pytest.mark.parametrize(
    "columns",
    [
        {"minimum_access_level_for_push": 30},
        {"minimum_access_level_for_push": None},
        {"project": None},
        {"below": "/taken"},
    ],
)
def test_the_database_refuses_what_no_rule_is(app: Any, columns: dict[str, Any]) -> None:
    RepositoryRule.objects.create(project=app, below="/taken", minimum_access_level_for_push=40)
    good = {"project": app, "below": "", "minimum_access_level_for_push": 40}
    with pytest.raises(IntegrityError), transaction.atomic():
        RepositoryRule.objects.create(**{**good, **columns})


@pytest.mark.parametrize(
    "columns",
    [
        {"minimum_access_level_for_delete": 10},
        {"project": None},
        {"tag_name_pattern": ""},
        {"tag_name_pattern": "taken"},
    ],
)
def test_the_database_refuses_what_no_tag_rule_is(app: Any, columns: dict[str, Any]) -> None:
    TagRule.objects.create(project=app, tag_name_pattern="taken")
    good = {"project": app, "tag_name_pattern": "^v"}
    with pytest.raises(IntegrityError), transaction.atomic():
        TagRule.objects.create(**{**good, **columns})

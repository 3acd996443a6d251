"""Groups and projects: paths, rights, deletion."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction

from gitlab.audit.models import AuditEvent
from gitlab.namespaces import loaders, services
from gitlab.namespaces.models import Member, Namespace, Project, Route
from gitlab.namespaces.policies import Ability
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db


def test_whoever_makes_a_group_owns_it(alice: Any) -> None:
    group = services.create_group(alice, path="Acme", name="The Acme")
    sub = services.create_group(alice, path="tools", parent=group)

    assert (group.full_path, sub.full_path) == ("acme", "acme/tools")
    assert Member.objects.filter(namespace=group, user=alice, access_level=50).exists()
    assert set(Route.objects.filter(namespace__in=[group, sub]).values_list("full_path")) == {
        ("acme",),
        ("acme/tools",),
    }


def test_a_project_and_a_subgroup_cant_share_a_path(alice: Any, make_group: Any) -> None:
    acme = make_group("acme", owner=alice)
    services.create_project(alice, namespace=acme, path="app")
    with pytest.raises(Invalid) as refused:
        services.create_group(alice, path="APP", parent=acme)
    assert refused.value.message_dict.keys() == {"path"}
    services.create_group(alice, path="tools", parent=acme)
    with pytest.raises(Invalid):
        services.create_project(alice, namespace=acme, path="tools")
    assert Namespace.objects.filter(full_path="acme/app").count() == 0


def test_below_a_group_there_is_room_for_the_name_of_an_image(alice: Any) -> None:
    with pytest.raises(Invalid, match="longer than 200"):
        services.create_group(alice, name="x", path="x" * 201)
    assert services.create_group(alice, name="x", path="x" * 200).full_path == "x" * 200


@pytest.mark.parametrize("path", ["", "a/b", "-", "A b", "a__", ".", "tags", "x" * 260, "日本"])
def test_bad_project_paths_are_refused(alice: Any, path: Any) -> None:
    with pytest.raises(Invalid) as refused:
        services.create_project(alice, namespace=alice.namespace, path=path)
    assert refused.value.message_dict.keys() == {"path"}


def test_nothing_is_more_visible_than_its_group(alice: Any, make_group: Any) -> None:
    acme = make_group("acme", owner=alice, visibility="private")
    with pytest.raises(Invalid) as refused:
        services.create_project(alice, namespace=acme, path="app", visibility="public")
    assert refused.value.message_dict.keys() == {"visibility"}
    own = services.create_project(alice, namespace=alice.namespace, path="app", visibility="public")
    assert own.visibility == "public"


def test_a_group_stays_as_visible_as_what_is_in_it(alice: Any, make_project: Any) -> None:
    app = make_project("acme/tools/app", owner=alice, visibility="public")
    acme = Namespace.objects.get(full_path="acme")
    tools = Namespace.objects.get(full_path="acme/tools")
    with pytest.raises(Invalid):
        services.update_group(alice, acme, visibility="private")
    services.update_project(alice, app, visibility="private")
    services.update_group(alice, tools, visibility="private")
    assert services.update_group(alice, acme, visibility="private").visibility == "private"


def test_who_may_create_where(
    alice: Any, bob: Any, carol: Any, mallory: Any, make_group: Any, make_person: Any
) -> None:
    acme = make_group("acme", owner=alice, developers=[bob], reporters=[carol])
    assert services.create_project(bob, namespace=acme, path="app")
    with pytest.raises(Forbidden):
        services.create_project(carol, namespace=acme, path="other")
    with pytest.raises(Forbidden):
        services.create_group(bob, path="sub", parent=acme)
    with pytest.raises(Forbidden):
        services.create_project(mallory, namespace=alice.namespace, path="mine")
    eve = make_person("eve", external=True)
    with pytest.raises(Forbidden):
        services.create_project(eve, namespace=eve.namespace, path="mine")
    with pytest.raises(Forbidden):
        services.create_group(eve, path="eves")
    with pytest.raises(Invalid):
        services.create_group(alice, path="sub", parent=alice.namespace)


def test_loading_hides_or_forbids(alice: Any, bob: Any, mallory: Any, make_project: Any) -> None:
    make_project("acme/app", owner=alice, developers=[bob])

    found = loaders.get_project_for(bob, "ACME/app", Ability.PUSH_IMAGE)
    assert Ability.PUSH_IMAGE in found.abilities
    with pytest.raises(Forbidden):
        loaders.get_project_for(bob, "acme/app", Ability.ADMIN_PROJECT)
    for nobody in (mallory, None, AnonymousUser()):
        with pytest.raises(NotFound):
            loaders.get_project_for(nobody, "acme/app")
    with pytest.raises(NotFound):
        loaders.get_project_for(bob, "acme/nope")


def test_loading_costs_two_queries(
    bob: Any, make_project: Any, django_assert_num_queries: Any
) -> None:
    make_project("acme/a/b/c/app", developers=[bob])
    with django_assert_num_queries(2):
        loaders.get_project_for(bob, "acme/a/b/c/app", Ability.PUSH_IMAGE)


def test_a_blocked_person_sees_what_a_visitor_sees(bob: Any, make_project: Any) -> None:
    make_project("acme/app", owners=[bob])
    bob.state = "blocked"
    with pytest.raises(NotFound):
        loaders.get_project_for(bob, "acme/app")


def test_who_belongs_below_sees_the_group(
    alice: Any, bob: Any, mallory: Any, make_group: Any, make_project: Any
) -> None:
    make_group("acme", owner=alice, visibility="private")
    app = make_project("acme/app", owner=alice)
    Member.objects.create(user=bob, project=app, access_level=20)
    assert loaders.get_group_for(bob, "acme").full_path == "acme"
    with pytest.raises(NotFound):
        loaders.get_group_for(mallory, "acme")
    assert isinstance(loaders.get_for(bob, "acme/app"), Project)
    assert isinstance(loaders.get_for(mallory, "alice"), Namespace)


def test_changes_are_recorded_and_only_changes(alice: Any, make_project: Any) -> None:
    app = make_project("acme/app", owner=alice)
    services.update_project(alice, app, name="app", registry_access="disabled")
    event = AuditEvent.objects.get(action="project.update")
    assert event.details == {"registry_access": ["enabled", "disabled"]}
    with pytest.raises(Invalid):
        services.update_project(alice, app, registry_access="maybe")


def test_a_deleted_project_is_hidden_at_once_and_goes_when_empty(
    alice: Any,
    bob: Any,
    make_project: Any,
    make_image: Any,
    enqueued: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    app = make_project("acme/app", owner=alice, maintainers=[bob])
    image = make_image("acme/app", of=app)
    with pytest.raises(Forbidden):
        services.delete_project(bob, app)
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_project(alice, app)

    assert enqueued == [
        ("workers.tasks.tell_revocations",),
        ("workers.tasks.sweep_deletions",),
    ]
    with pytest.raises(NotFound):
        loaders.get_project_for(alice, "acme/app")
    assert services.finish_deletions() == 0
    image.delete()
    assert services.finish_deletions() == 1
    assert not Route.objects.filter(full_path="acme/app").exists()
    assert services.finish_deletions() == 0


def test_a_group_goes_after_its_projects(alice: Any, make_project: Any, enqueued: Any) -> None:
    app = make_project("acme/tools/app", owner=alice)
    acme = Namespace.objects.get(full_path="acme")
    with pytest.raises(Conflict):
        services.delete_group(alice, acme)
    services.delete_project(alice, app)
    services.delete_group(alice, acme)
    with pytest.raises(NotFound):
        loaders.get_group_for(alice, "acme")
    assert services.finish_deletions() == 3
    assert services.create_group(alice, path="acme").pk


def test_the_database_refuses_the_worst(alice: Any, make_project: Any) -> None:
    app = make_project("acme/app")
    wrong = [
        lambda: Route.objects.create(full_path="both", project=app, namespace=app.namespace),
        lambda: Route.objects.create(full_path="acme/app", namespace=None, project=None),
        lambda: Project.objects.filter(pk=app.pk).update(full_path="Acme/App"),
        lambda: Project.objects.filter(pk=app.pk).update(visibility="secret"),
        lambda: Namespace.objects.filter(pk=app.namespace_id).update(owner=alice),
        lambda: Member.objects.create(user=alice, access_level=30),
        lambda: Member.objects.create(user=alice, project=app, access_level=35),
        app.namespace.delete,
    ]
    for change in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_whoever_creates_a_project_can_run_it(
    alice: Any, bob: Any, root: Any, make_group: Any
) -> None:
    """A developer becomes its maintainer, for others nothing changes."""
    acme = make_group("acme", owner=alice, developers=[bob])
    made = services.create_project(bob, namespace=acme, path="tool")
    assert [(row.user, row.access_level) for row in made.members.all()] == [(bob, 40)]
    assert AuditEvent.objects.filter(action="member.add", target_id=made.pk).count() == 1
    for by, path in ((alice, "web"), (root, "ops")):
        assert not services.create_project(by, namespace=acme, path=path).members.exists()
    own = services.create_project(bob, namespace=bob.namespace, path="mine")
    assert not own.members.exists()

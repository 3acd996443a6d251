"""Somebody is deleted with what they own: it moves, or goes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.jobs import due
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Member, Namespace, Project
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.user_deletion import services
from gitlab.user_deletion.models import UserDeletion

pytestmark = pytest.mark.django_db


@pytest.fixture
def tool(bob: Any, make_project: Any, make_image: Any) -> Any:
    project = make_project("bob/tool", owner=bob)
    make_image("bob/tool", of=project)
    return project


def paths() -> list[str]:
    return sorted(Project.objects.values_list("full_path", flat=True))


def again() -> None:
    """As if the time of each that waits had come."""
    UserDeletion.objects.update(due_at=timezone.now() - dt.timedelta(seconds=1))


def exists(name: str) -> bool:
    return User.objects.filter(username=name).exists()


def test_who_owns_nothing_goes_at_once(root: Any, bob: Any) -> None:
    assert services.request(root, bob) is None
    assert not exists("bob")
    assert not UserDeletion.objects.exists()


def test_it_moves(root: Any, alice: Any, bob: Any, tool: Any, make_group: Any) -> None:
    acme = make_group("acme", owner=bob)
    row = services.request(root, bob, heir=alice)
    assert row is not None
    bob.refresh_from_db()
    assert bob.is_blocked, "from the moment that it is asked for"
    assert services.sweep() == 1
    assert not exists("bob")
    assert paths() == ["alice/tool"]
    assert Member.objects.get(namespace=acme, user=alice).access_level == 50
    assert not Namespace.objects.filter(full_path="bob").exists()
    actions = list(
        AuditEvent.objects.filter(actor=root).order_by("pk").values_list("action", flat=True)
    )
    assert {"user.schedule_deletion", "user.block", "project.change_path", "member.add"} <= set(
        actions
    )
    assert actions[-1] == "user.delete"
    event = AuditEvent.objects.get(action="user.schedule_deletion")
    assert event.details == {"moves_to": "alice"}


def test_a_name_that_is_taken_there(
    root: Any, alice: Any, bob: Any, tool: Any, make_project: Any
) -> None:
    make_project("alice/tool", owner=alice)
    services.request(root, bob, heir=alice)
    assert services.sweep() == 1
    assert paths() == ["alice/bob-tool", "alice/tool"]


def test_an_heir_who_is_a_member_becomes_owner(
    root: Any, alice: Any, bob: Any, make_group: Any
) -> None:
    acme = make_group("acme", owner=bob, developers=[alice])
    services.request(root, bob, heir=alice)
    services.sweep()
    assert Member.objects.get(namespace=acme).access_level == 50
    assert not exists("bob")


def test_it_is_deleted(root: Any, bob: Any, tool: Any, make_group: Any) -> None:
    make_group("empty", owner=bob)
    services.request(root, bob, deletes=True)
    assert services.sweep() == 0
    tool.refresh_from_db()
    assert tool.is_pending_delete
    assert exists("bob"), "until the images are gone"
    again()
    assert services.sweep() == 0
    # The worker that deletes images has done its part.
    tool.container_repositories.all().delete()
    namespaces.finish_deletions()
    again()
    assert services.sweep() == 1
    assert not exists("bob")
    assert not Namespace.objects.filter(full_path__in=["bob", "empty"]).exists()


def test_a_group_with_projects_does_not_go(
    root: Any, bob: Any, make_group: Any, make_project: Any
) -> None:
    make_group("acme", owner=bob)
    make_project("acme/app", owner=bob)
    with pytest.raises(Conflict, match="acme, which has projects"):
        services.request(root, bob, deletes=True)
    bob.refresh_from_db()
    assert bob.is_active, "what is refused changes nothing"


def test_something_has_to_be_chosen(root: Any, bob: Any, tool: Any) -> None:
    with pytest.raises(Conflict, match="choose what becomes of it"):
        services.request(root, bob)
    assert not UserDeletion.objects.exists()


def test_who_may(root: Any, alice: Any, bob: Any, carol: Any, tool: Any) -> None:
    with pytest.raises(Forbidden):
        services.request(alice, bob, deletes=True)
    with pytest.raises(Invalid, match="yourself"):
        services.request(root, root, deletes=True)
    accounts.block(carol, by=None)
    for heir in (bob, carol):
        with pytest.raises(Invalid):
            services.request(root, bob, heir=heir)
    with pytest.raises(Invalid):
        services.request(root, bob, heir=alice, deletes=True)
    assert not UserDeletion.objects.exists()


def test_the_registry_does_not_answer(
    root: Any, alice: Any, bob: Any, tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trouble(*args: Any, **more: Any) -> None:
        raise RegistryUnavailable("nobody there")

    services.request(root, bob, heir=alice)
    with monkeypatch.context() as broken:
        broken.setattr(services.path_changes, "transfer_project", trouble)
        for _ in range(due.MOST_ATTEMPTS):
            assert services.sweep() == 0
            again()
    row = UserDeletion.objects.get()
    assert (row.status, row.failure_reason) == ("failed", "The registry: nobody there")
    assert paths() == ["bob/tool"]
    assert services.sweep() == 0
    # Asked for once more it goes on.
    services.request(root, bob, heir=alice)
    assert services.sweep() == 1


def test_who_has_asked_is_no_administrator_any_more(
    root: Any, alice: Any, bob: Any, tool: Any, make_person: Any
) -> None:
    admin = make_person("dave", is_superuser=True)
    services.request(admin, bob, heir=alice)
    accounts.set_administrator(admin, is_administrator=False, by=root)
    assert services.sweep() == 0
    assert UserDeletion.objects.get().status == "failed"
    assert paths() == ["bob/tool"]


@pytest.mark.parametrize("how", ["block", "delete"])
def test_the_heir_is_gone(root: Any, alice: Any, bob: Any, tool: Any, how: str) -> None:
    services.request(root, bob, heir=alice)
    if how == "block":
        accounts.block(alice, by=root)
    else:
        accounts.delete_user(alice, by=root)
    assert services.sweep() == 0
    assert UserDeletion.objects.get().status == "failed"
    assert paths() == ["bob/tool"], "it is not deleted instead"


def test_it_is_called_off(root: Any, alice: Any, bob: Any, tool: Any) -> None:
    services.request(root, bob, heir=alice)
    services.cancel(root, bob)
    assert services.sweep() == 0
    assert exists("bob")
    bob.refresh_from_db()
    assert bob.is_blocked
    with pytest.raises(NotFound):
        services.cancel(root, bob)
    with pytest.raises(Forbidden):
        services.cancel(alice, bob)


def test_two_workers_take_it_once(root: Any, alice: Any, bob: Any, tool: Any) -> None:
    row = services.request(root, bob, heir=alice)
    assert row is not None
    assert services._ROWS.take(row.pk) is not None
    assert services.run(row.pk) is False
    assert paths() == ["bob/tool"]


def test_some_at_a_time(
    root: Any, alice: Any, bob: Any, make_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        make_project(f"bob/p{number}", owner=bob)
    monkeypatch.setattr(services, "STEPS", 2)
    services.request(root, bob, heir=alice)
    assert services.sweep() == 0
    assert paths() == ["alice/p0", "alice/p1", "bob/p2"]
    again()
    assert services.sweep() == 1

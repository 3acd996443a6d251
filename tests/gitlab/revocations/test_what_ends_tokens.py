"""Whatever takes a right away ends the registry tokens that were made of it; nothing else does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import IntegrityError, transaction

from gitlab.access_tokens import credentials, deploy_tokens, job_tokens, rotation
from gitlab.access_tokens import services as access_tokens
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts import services as accounts
from gitlab.namespaces import members
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Namespace
from gitlab.refusals import Forbidden
from gitlab.revocations.models import Revocation
from gitlab.revocations.services import TASK, end_tokens

pytestmark = pytest.mark.django_db


class World(NamedTuple):
    root: Any
    alice: Any
    bob: Any
    app: Any
    group: Any


@pytest.fixture
def world(root: Any, alice: Any, bob: Any, make_project: Any, make_group: Any) -> World:
    group = make_group("acme", owner=alice, developers=[bob])
    app = make_project("acme/app", owner=alice, visibility="public", maintainers=[bob])
    Revocation.objects.all().delete()
    return World(root, alice, bob, app, group)


def ended() -> set[tuple[str, str, str]]:
    return set(Revocation.objects.values_list("credential", "subject", "path"))


BOB = ("", "bob", "")
APP = ("", "", "acme/app")
CHANGES: dict[str, tuple[Callable[[World], object], tuple[str, str, str]]] = {
    "blocked": (lambda w: accounts.block(w.bob, by=w.root), BOB),
    "deactivated": (lambda w: accounts.deactivate(w.bob, by=w.root), BOB),
    "deleted": (lambda w: accounts.delete_user(w.bob, by=w.root), BOB),
    "another password": (
        lambda w: accounts.change_password(w.bob, "a-harbour-lamp-99", by=w.root),
        BOB,
    ),
    "external": (lambda w: accounts.set_external(w.bob, external=True, by=w.root), BOB),
    "removed from a group": (
        lambda w: members.remove_member(w.alice, w.group, w.bob),
        ("", "bob", "acme"),
    ),
    "removed from a project": (
        lambda w: members.remove_member(w.alice, w.app, w.bob),
        ("", "bob", "acme/app"),
    ),
    "less in a project": (
        lambda w: members.update_member(w.alice, w.app, w.bob, 20),
        ("", "bob", "acme/app"),
    ),
    "project made private": (
        lambda w: namespaces.update_project(w.alice, w.app, visibility="private"),
        APP,
    ),
    "registry for members": (
        lambda w: namespaces.update_project(w.alice, w.app, registry_access="private"),
        APP,
    ),
    "archived": (lambda w: namespaces.set_archived(w.alice, w.app, archived=True), APP),
    "project deleted": (lambda w: namespaces.delete_project(w.alice, w.app), APP),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_ends_tokens(name: str, world: World) -> None:
    change, expected = CHANGES[name]
    change(world)
    assert ended() == {expected}
    assert Revocation.objects.get().told_at is None


def test_a_group(world: World, make_group: Any) -> None:
    empty = make_group("empty", owner=world.alice)
    namespaces.update_group(world.alice, empty, visibility="private")
    namespaces.delete_group(world.alice, Namespace.objects.get(pk=empty.pk))
    assert ended() == {("", "", "empty")}
    assert Revocation.objects.count() == 2


def test_an_administrator_who_is_none_any_more(world: World, make_person: Any) -> None:
    other = make_person("dora", is_superuser=True)
    accounts.set_administrator(other, is_administrator=False, by=world.root)
    assert ended() == {("", "dora", "")}


@pytest.mark.parametrize(
    "change",
    [
        lambda w: namespaces.update_project(w.alice, w.app, description="other"),
        lambda w: namespaces.update_project(w.alice, w.app, visibility="public"),
        lambda w: namespaces.set_archived(w.alice, w.app, archived=False),
        lambda w: members.update_member(w.alice, w.app, w.bob, 40),
        lambda w: accounts.update_user(w.bob, by=w.bob, name="Robert"),
        lambda w: accounts.unblock(w.bob, by=w.root),
        lambda w: accounts.set_external(w.bob, external=False, by=w.root),
        lambda w: access_tokens.create(w.bob, name="new", scopes=["api"]),
    ],
)
def test_what_takes_nothing_away_ends_nothing(change: Any, world: World) -> None:
    change(world)
    assert ended() == set()


def test_what_is_refused_ends_nothing(world: World) -> None:
    with pytest.raises(Forbidden):
        accounts.block(world.alice, by=world.bob)
    assert ended() == set()


def test_access_tokens(world: World) -> None:
    token, _ = access_tokens.create(world.bob, name="ci", scopes=["api"])
    access_tokens.revoke(world.bob, token)
    access_tokens.revoke(world.bob, token)
    assert [row.credential for row in Revocation.objects.all()] == [credentials.of_token(token.pk)]


def test_a_rotation_and_the_family_of_what_was_rotated_away(world: World) -> None:
    first, _ = access_tokens.create(world.bob, name="ci", scopes=["api"])
    second, _ = access_tokens.rotate(world.bob, first)
    assert ended() == {(credentials.of_token(first.pk), "", "")}
    rotation.note_reuse(first.pk)
    assert (credentials.of_token(second.pk), "", "") in ended()
    assert PersonalAccessToken.objects.get(pk=second.pk).revoked_at is not None


def test_deploy_tokens(world: World, make_deploy_token: Any) -> None:
    token, _ = make_deploy_token(world.app)
    deploy_tokens.revoke(world.root, token)
    assert ended() == {(credentials.of_deploy_token(token.pk), "", "")}


def test_jobs(world: World, make_runner: Any) -> None:
    runner = make_runner(world.app)[0]
    done, _ = job_tokens.start_job(runner, name="test", username="bob")
    left, _ = job_tokens.start_job(runner, name="test", username="bob")
    for _ in range(2):
        job_tokens.finish_job(runner, done.pk, "success")
    assert [row.credential for row in Revocation.objects.all()] == [credentials.of_job(done.pk)]
    job_tokens.revoke_runner(world.alice, runner)
    assert ended() == {(credentials.of_job(job.pk), "", "") for job in (done, left)}


def test_the_worker_is_rung(enqueued: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        end_tokens(subject="bob")
    assert (TASK,) in enqueued


def test_the_database_refuses_one_of_nothing(world: World) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        end_tokens()


def test_a_row_says_what_it_is_of(world: World) -> None:
    end_tokens(subject="bob", path="acme")
    assert str(Revocation.objects.get()) == "bob in acme"
    assert Revocation.objects.get().created_at.tzinfo is dt.UTC

"""Two at the same time, in transactions that really end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.container_registry import deletion
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import members
from gitlab.namespaces.models import Member, Project
from gitlab.refusals import Conflict, Forbidden, NotFound
from tests.people import PASSWORD
from tokens.access import Access

pytestmark = pytest.mark.django_db(transaction=True)


def _together(*calls: Callable[[], Any]) -> list[Any]:
    """What each answers, or the exception that it raised."""
    start = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        try:
            start.wait()
            answers[number] = call()
        except Exception as error:
            answers[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_first_pushes_at_the_same_time_make_one_project(bob: Any) -> None:
    authorizer = GitLabAuthorizer()
    identity = authorizer.authenticate("bob", PASSWORD, address="")

    def push() -> list[str]:
        asked = [Access.parse("repository:bob/new/image:pull,push")]
        return [str(a) for a in authorizer.record(identity, authorizer.authorize(identity, asked))]

    assert _together(*[push] * 4) == [["repository:bob/new/image:pull,push"]] * 4
    assert Project.objects.count() == 1
    assert ContainerRepository.objects.count() == 1


def test_one_worker_takes_an_image(make_image: Any) -> None:
    image = make_image("alice/app", status="delete_scheduled")
    taken = _together(*[lambda: deletion.take(image.pk)] * 4)
    assert len([row for row in taken if isinstance(row, ContainerRepository)]) == 1
    assert not [row for row in taken if isinstance(row, Exception)]


def test_two_owners_cant_remove_each_other(alice: Any, bob: Any, make_group: Any) -> None:
    acme = make_group("acme", owner=alice, owners=[bob])
    answers = _together(
        lambda: members.remove_member(alice, acme, bob),
        lambda: members.remove_member(bob, acme, alice),
    )
    assert Member.objects.filter(namespace=acme, access_level=50).count() == 1
    assert len([a for a in answers if isinstance(a, Conflict | Forbidden | NotFound)]) == 1
